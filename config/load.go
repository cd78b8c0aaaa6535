package config

import "errors"

// Load reads and validates a file. An error is Findings, or that of reading.
func Load(path string) (*Config, error) { return nil, errors.New("not built") }

// Parse is Load of bytes already read; path is for messages and as the folder
// of relative *_file paths.
func Parse(path string, data []byte) (*Config, error) { return nil, errors.New("not built") }

// Quick is the configuration of serve --primary … --replica …: one cluster,
// no rules, the account's own name and password to log in.
func Quick(primary string, replicas []string, user, password string) (*Config, error) {
	return nil, errors.New("not built")
}
