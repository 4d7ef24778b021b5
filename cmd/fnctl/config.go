package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/goccy/go-yaml"
)

// config is the file that keeps contexts. It may have tokens, so only its owner may read it.
type config struct {
	// Current is the context that is used when nothing names another; "" = none.
	Current  string             `yaml:"current,omitempty"`
	Contexts map[string]*target `yaml:"contexts,omitempty"`
}

// target is what a context names: a server, and what belongs to it.
type target struct {
	Server    string `yaml:"server" json:"server"`
	Namespace string `yaml:"namespace,omitempty" json:"namespace,omitempty"`
	Token     string `yaml:"token,omitempty" json:"-"`
	CA        string `yaml:"ca,omitempty" json:"ca,omitempty"` // a file, as of FNCTL_CA
}

// configPath is "" when the surroundings do not say where a user's files are.
func (c *cli) configPath() string {
	if path := c.getenv("FNCTL_CONFIG"); path != "" {
		return path
	}
	if dir := c.getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) { // a relative one does not count, says the specification
		return filepath.Join(dir, "fnctl", "config.yaml")
	}
	if dir := c.getenv("AppData"); runtime.GOOS == "windows" && dir != "" {
		return filepath.Join(dir, "fnctl", "config.yaml")
	}
	if home := c.getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "fnctl", "config.yaml")
	}
	return ""
}

// readConfig answers an empty one when there is no file.
func (c *cli) readConfig() (*config, error) {
	path := c.configPath()
	if path == "" {
		return &config{}, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &config{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the contexts: %w", err)
	}
	out, err := parseConfig(path, text)
	if err != nil {
		return nil, err
	}
	c.warnOfReaders(path, out)
	return out, nil
}

func parseConfig(path string, text []byte) (*config, error) {
	out := &config{}
	if err := yaml.UnmarshalWithOptions(text, out, yaml.Strict()); err != nil {
		const colours, source = false, false // the source may have a token
		return nil, &adviceError{fmt.Errorf("%s is no file of contexts: %s", path, oneLine(yaml.FormatError(err, colours, source))), "correct it, or move it away and make it again with fnctl context set"}
	}
	for name, t := range out.Contexts {
		if t == nil || t.Server == "" {
			return nil, &adviceError{fmt.Errorf("%s: context %s has no server", path, name), "fnctl context set " + name + " --server URL"}
		}
	}
	return out, nil
}

// warnOfReaders tells when others than the owner can read tokens.
func (c *cli) warnOfReaders(path string, f *config) {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return
	}
	for _, t := range f.Contexts {
		if t.Token != "" {
			c.say("warning: others can read %s, which has tokens; to keep them out: chmod 600 %s", path, path)
			return
		}
	}
}

// writeConfig replaces the file at once, so that nobody reads half of it.
func (c *cli) writeConfig(f *config) (err error) {
	path := c.configPath()
	if path == "" {
		return usagef("FNCTL_CONFIG=FILE", "there is no place for contexts: none of FNCTL_CONFIG, XDG_CONFIG_HOME and HOME is set")
	}
	text, err := yaml.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode the contexts: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep the contexts: %w", err)
	}
	temp, err := os.CreateTemp(dir, ".config-*") // 0600
	if err != nil {
		return fmt.Errorf("keep the contexts: %w", err)
	}
	defer os.Remove(temp.Name()) // is renamed when all is well
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keep the contexts: %w", err)
	}
	return nil
}
