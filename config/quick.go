package config

import "errors"

// Quick is the configuration of serve --primary … --replica …: one cluster
// named main, no rules, and whoever logs in with the account's own name and
// password. The error says what is wrong with which flag.
func Quick(primary string, replicas []string, user, password string) (*Config, error) {
	cfg := Defaults()
	if user == "" {
		return nil, errors.New("--user is empty; give the account Serval uses on the servers, which is also the one to log in with")
	}
	account := Account{User: user, Password: password, TLS: BackendTLS{Mode: TLSDisabled}}
	cl := Cluster{Name: "main", Primary: primary, Account: account}
	cl.Instances = append(cl.Instances, Instance{Addr: primary})
	for _, a := range replicas {
		cl.Instances = append(cl.Instances, Instance{Addr: a, Weight: 1})
	}
	if primary == "" {
		return nil, errors.New("--primary is empty; give it as host:port")
	}
	s := &source{file: "flags"}
	r := &reader{source: s, cfg: &cfg}
	seen := map[string]bool{}
	for _, in := range cl.Instances {
		r.address(0, in.Addr, 1)
		if seen[in.Addr] {
			r.add(0, "give each server once", "%s is given twice", in.Addr)
		}
		seen[in.Addr] = true
	}
	if len(s.findings) > 0 {
		return nil, s.findings
	}
	cfg.Backend, cfg.Home, cfg.Clusters = account, cl.Name, []Cluster{cl}
	cfg.FromFlags = true
	cfg.Users = []User{{Name: user, Password: password}}
	return &cfg, nil
}
