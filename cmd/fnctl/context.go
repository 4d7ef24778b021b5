package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/evoke-run/evoke/api"
)

// The name of the namespace that is meant when nothing names one.
const defaultNamespace = "default"

// resolve finds out which server a command is for, and what belongs to it: from flags, else from the context that --context names, else from FNCTL_* variables, else from the current
// context. A context goes with its server: when a flag or a variable names another one, nothing of it is used, least of all its token.
func (c *cli) resolve() error {
	f, err := c.readConfig()
	if err != nil {
		return err
	}
	name := cmp.Or(c.context, c.getenv("FNCTL_CONTEXT"), f.Current)
	t := target{}
	if name != "" {
		found, ok := f.Contexts[name]
		if !ok {
			return c.noContext(f, name)
		}
		t = *found
	}
	server, token, namespace, ca := c.getenv("FNCTL_SERVER"), c.getenv("FNCTL_TOKEN"), c.getenv("FNCTL_NAMESPACE"), c.getenv("FNCTL_CA")
	if c.context != "" {
		if c.server != "" && !sameServer(c.server, t.Server) {
			return usagef("only one of them", "--server %s and --context %s, which is %s, are two servers", c.server, name, t.Server)
		}
		server, token, namespace, ca = t.Server, cmp.Or(t.Token, token), cmp.Or(t.Namespace, namespace), cmp.Or(t.CA, ca)
	}
	if given := cmp.Or(c.server, server); given != "" && !sameServer(given, t.Server) {
		name, t = "", target{}
	}
	c.from = c.origin(name)
	c.server = cmp.Or(c.server, server, t.Server)
	c.token = cmp.Or(c.token, token, t.Token)
	c.namespace = cmp.Or(c.namespace, namespace, t.Namespace, defaultNamespace)
	c.ca, c.caFrom = cmp.Or(ca, t.CA), "FNCTL_CA"
	if t.CA != "" && c.ca == t.CA {
		c.caFrom = "the ca of context " + name
	}
	return nil
}

// origin says where the server of a command comes from; context is the one that is used.
func (c *cli) origin(context string) string {
	switch {
	case c.server != "":
		return "--server"
	case c.context != "":
		return "--context " + context
	case c.getenv("FNCTL_SERVER") != "":
		return "FNCTL_SERVER"
	case context != "":
		return "context " + context
	}
	return "the default"
}

// sameServer compares addresses as people write them.
func sameServer(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}

func (c *cli) noContext(f *config, name string) error {
	names := slices.Sorted(maps.Keys(f.Contexts))
	try := "fnctl context set " + name + " --server URL"
	if len(names) > 0 {
		try = "one of " + strings.Join(names, ", ") + ", or " + try
	}
	return usagef(try, "there is no context %q%s", name, c.whoNames(f, name))
}

// whoNames says where the name of a context comes from when it is not the command line.
func (c *cli) whoNames(f *config, name string) string {
	switch {
	case c.context == name:
		return ""
	case c.getenv("FNCTL_CONTEXT") == name:
		return ", which FNCTL_CONTEXT names"
	case f.Current == name:
		return ", which " + c.configPath() + " has as the current one"
	}
	return ""
}

func (c *cli) contextCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "context",
		Short: "Names for servers, with their tokens and namespaces",
		Long: `Names for servers, with their tokens and namespaces.

They are kept in $XDG_CONFIG_HOME/fnctl/config.yaml, else in ~/.config/fnctl/config.yaml, which only you can read; FNCTL_CONFIG names another file. A command takes the server, in this order, from
--server, --context, FNCTL_SERVER, FNCTL_CONTEXT and the current context. When a flag or a variable names another server than the context, nothing of the context is used: its token goes to its server only.`,
		Example: `  fnctl context set prod --server https://evoke.example.com:8081 --token - -n shop < token.txt
  fnctl context use prod
  fnctl context ls
  fnctl --context test deploy`,
	}, c.contextLsCommand(), c.contextUseCommand(), c.contextSetCommand(), c.contextRmCommand())
	cmd.PersistentPreRunE = func(*cobra.Command, []string) error { return nil } // these are about contexts, and use none
	return cmd
}

// contextView is a context as it is shown: never its token.
type contextView struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	target
	HasToken bool `json:"hasToken"`
}

func (c *cli) contextLsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: "List contexts; never their tokens", Example: `  fnctl context ls`, Args: argCount(0, 0, "")}
	c.formatFlag(cmd, table, jsonForm, yamlForm, nameForm, jsonLines)
	cmd.RunE = func(*cobra.Command, []string) error {
		f, err := c.readConfig()
		if err != nil {
			return err
		}
		views := []contextView{}
		for _, name := range slices.Sorted(maps.Keys(f.Contexts)) {
			t := f.Contexts[name]
			views = append(views, contextView{Name: name, Current: name == f.Current, target: *t, HasToken: t.Token != ""})
		}
		if err := contextList.show(c, views); err != nil {
			return err
		}
		c.sayWhatWins()
		return nil
	}
	return cmd
}

var contextList = list[contextView]{
	name: func(v contextView) string { return v.Name },
	none: "no contexts; make one with fnctl context set NAME --server URL",
	columns: []column[contextView]{
		{title: "CURRENT", text: func(v contextView) string {
			if v.Current {
				return "*"
			}
			return ""
		}},
		{title: "NAME", text: func(v contextView) string { return v.Name }},
		{title: "SERVER", text: func(v contextView) string { return v.Server }},
		{title: "NAMESPACE", text: func(v contextView) string { return v.Namespace }},
		{title: "TOKEN", text: func(v contextView) string { return yesNo(v.HasToken) }},
	},
}

// sayWhatWins reminds of a variable that makes contexts count for nothing.
func (c *cli) sayWhatWins() {
	for _, name := range []string{"FNCTL_SERVER", "FNCTL_CONTEXT"} {
		if v := c.getenv(name); v != "" {
			c.say("note: %s is set to %s, which comes before the current context", name, printable(v))
			return
		}
	}
}

// configWith reads the file, in which a context of this name must be.
func (c *cli) configWith(name string) (*config, error) {
	f, err := c.readConfig()
	if err == nil && f.Contexts[name] == nil {
		err = c.noContext(f, name)
	}
	return f, err
}

func (c *cli) contextUseCommand() *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Make a context the current one", Example: `  fnctl context use prod`,
		Args: argCount(1, 1, "the NAME of a context; see fnctl context ls"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := c.configWith(args[0])
			if err != nil {
				return err
			}
			f.Current = args[0]
			if err := c.writeConfig(f); err != nil {
				return err
			}
			c.say("the current context is %s: %s", args[0], f.Contexts[args[0]].Server)
			c.sayWhatWins()
			return nil
		},
	}
}

var contextName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (c *cli) contextSetCommand() *cobra.Command {
	var ca string
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Make a context, or change one",
		Long: `Make a context of --server, --token, --namespace and --ca, or change what is given of one that is there. An empty value takes a setting away.
With --token - the token is read from stdin, so that it is in no list of processes and no history of commands. The first context is the current one at once.`,
		Example: `  fnctl context set prod --server https://evoke.example.com:8081 -n shop
  fnctl token create laptop --role deployer | fnctl context set prod --token -`,
		Args: argCount(1, 1, "a NAME for the context"),
	}
	cmd.Flags().StringVar(&ca, "ca", "", "a file with the certificate of the server, as FNCTL_CA")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !contextName.MatchString(args[0]) {
			return usagef("a name like prod", "%q is no name of a context: it has letters, digits, dots, hyphens and underscores, at most 63", args[0])
		}
		f, err := c.readConfig()
		if err != nil {
			return err
		}
		t := target{}
		old := f.Contexts[args[0]]
		if old != nil {
			t = *old
		}
		if err := c.changeTarget(cmd, &t, ca); err != nil {
			return err
		}
		if old == nil && f.Contexts == nil {
			f.Contexts = map[string]*target{}
		}
		f.Contexts[args[0]] = &t
		f.Current = cmp.Or(f.Current, args[0])
		if err := c.writeConfig(f); err != nil {
			return err
		}
		c.say("context %s is %s%s", args[0], t.Server, currentText(f.Current == args[0]))
		return nil
	}
	return cmd
}

func currentText(current bool) string {
	if current {
		return ", and the current one"
	}
	return ""
}

// changeTarget takes over the flags that were given, and checks what comes out.
func (c *cli) changeTarget(cmd *cobra.Command, t *target, ca string) error {
	flags := cmd.Flags()
	server := t.Server
	for name, set := range map[string]func(){
		"server":    func() { t.Server = c.server },
		"token":     func() { t.Token = c.token },
		"namespace": func() { t.Namespace = c.namespace },
		"ca":        func() { t.CA = ca },
	} {
		if flags.Changed(name) {
			set()
		}
	}
	if t.Token == "-" {
		text, err := io.ReadAll(io.LimitReader(c.in, 64<<10))
		if err != nil {
			return fmt.Errorf("read the token from stdin: %w", err)
		}
		if t.Token = strings.TrimSpace(string(text)); t.Token == "" {
			return usagef("fnctl token create NAME --role deployer | "+cmd.CommandPath()+" "+flags.Arg(0)+" --token -", "stdin has no token")
		}
	}
	if t.Server == "" {
		return usagef(cmd.CommandPath()+" "+flags.Arg(0)+" --server "+api.DefaultServer, "a context needs a --server")
	}
	// A token is for the server that it was made by.
	if server != "" && !sameServer(server, t.Server) && !flags.Changed("token") {
		t.Token = ""
	}
	if _, err := api.NewClient(api.ClientOptions{Server: t.Server, Token: t.Token}); err != nil {
		return &usageError{err: err}
	}
	return nil
}

func (c *cli) contextRmCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "Forget a context, and its token", Example: `  fnctl context rm prod`,
		Args: argCount(1, 1, "the NAME of a context; see fnctl context ls"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := c.configWith(args[0])
			if err != nil {
				return err
			}
			hadToken, current := f.Contexts[args[0]].Token != "", f.Current == args[0]
			delete(f.Contexts, args[0])
			if current {
				f.Current = ""
			}
			if err := c.writeConfig(f); err != nil {
				return err
			}
			c.say("forgot context %s", args[0])
			if current {
				c.say("note: it was the current one; there is none now")
			}
			if hadToken {
				c.say("note: its token is still good; to end it: fnctl token revoke NAME")
			}
			return nil
		},
	}
}
