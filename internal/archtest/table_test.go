package archtest_test

// allowed is the table of packages: what each may import of ours, test files
// aside. A new arrow between packages is a decision about the design: make it
// in docs/architecture.md first. leaves are allowed to everybody.
var allowed = map[string][]string{
	"internal/wire":   {"internal/sqlerr", "internal/sqlval"},
	"internal/sqlerr": {},
	"internal/sqlval": {},
	"internal/infile": {},

	"topology":          {},
	"config":            {"shardrule"},
	"parser":            {},
	"shardrule":         {"topology"},
	"topology/failover": {"topology"},
	"topology/health":   {"topology", "topology/failover", "backend"},
	"backend":           {"topology"},
	"catalog":           {"shardrule", "topology"},
	"router/plan":       {"topology", "shardrule"},
	"router":            {"parser", "shardrule", "topology", "catalog", "router/plan"},
	"executor":          {"router/plan", "executor/merge", "executor/finish", "topology", "backend"},
	"executor/merge":    {"router/plan"},
	"executor/finish":   {"router/plan", "topology", "backend"},
	"executor/txn":      {"topology", "backend"},
	"control":           {"config", "shardrule", "catalog", "topology", "topology/failover", "topology/health"},
	"ddl":               {"shardrule"},
	"rulestore":         {},
	"advise":            {"parser", "router", "router/plan", "catalog", "shardrule", "topology"},
	"rebalance":         {"shardrule"},
	"reshard":           {"catalog", "shardrule", "topology", "backend"},
	"admin":             {"catalog", "control", "reshard", "shardrule", "topology"},
	"proxy/session":     {"parser", "router", "router/plan", "executor", "executor/txn", "catalog", "topology", "backend", "shardrule", "ddl", "internal/infile"},
	"proxy":             {"proxy/session", "catalog", "topology"},
	"importer":          {},
	"demo":              {"internal/mysqlproc"},
	"bench":             {"internal/mysqlproc", "internal/tpch"},

	"internal/mysqlproc": {},
	"internal/mysqltest": {},
	"internal/etcdtest":  {},
	"internal/tpch":      {},
	"internal/archtest":  {},
	"integration":        {},
}

// leaves are small packages of values that anybody may use; among themselves
// only as the table says.
var leaves = []string{"internal/wire", "internal/sqlerr", "internal/sqlval"}

// anything may be imported by these: they only wire.
var wiring = []string{"cmd/serval"}

// whyNot explains the arrows people are most likely to want.
var whyNot = map[[2]string]string{
	{"router", "backend"}:        "the router decides and does no I/O: put what it must know into the catalog",
	{"router", "executor"}:       "a plan is plain data: say in it what the executor is to do",
	{"executor", "catalog"}:      "whatever the executor needs is in the plan: the router puts it there",
	{"executor", "control"}:      "the data plane never imports the control plane; only the catalog crosses",
	{"router", "control"}:        "the data plane never imports the control plane; only the catalog crosses",
	{"proxy/session", "control"}: "the data plane never imports the control plane; only the catalog crosses",
	{"proxy/session", "config"}:  "the data plane reads the catalog; control makes it from the config",
	{"backend", "catalog"}:       "a pool knows its server, not the rules",
	{"parser", "catalog"}:        "the parser knows the text only; names are resolved by the router",
}

// pure packages decide without I/O and without a clock: time is an argument,
// files and sockets are somebody else's.
var pure = []string{"router/plan", "executor/merge", "rebalance", "shardrule", "topology", "topology/failover"}

// forbiddenNames of packages say nothing about what is in them.
var forbiddenNames = []string{"util", "utils", "common", "manager", "helper", "helpers", "types", "misc", "base", "shared"}
