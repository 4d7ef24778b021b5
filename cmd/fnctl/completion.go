package main

import "github.com/spf13/cobra"

func (c *cli) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash | zsh | fish | powershell",
		Short: "Print a completion script for a shell",
		Example: `  source <(fnctl completion bash)
  fnctl completion fish > ~/.config/fish/completions/fnctl.fish`,
		Args:              argCount(1, 1, "the name of a shell"),
		ValidArgs:         shells,
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil }, // it needs no server
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("the shell", args[0], shells...); err != nil {
				return err
			}
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.out, true)
			case "zsh":
				return root.GenZshCompletion(c.out)
			case "fish":
				return root.GenFishCompletion(c.out, true)
			}
			return root.GenPowerShellCompletionWithDesc(c.out)
		},
	}
}
