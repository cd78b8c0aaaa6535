package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const rulesBefore = `
listen: 127.0.0.1:3307
users: [{name: app, password: one}, {name: old, password: two}]
backend: {user: serval, password: x}
clusters:
  c0: {primary: 127.0.0.1:4000}   # the first
  c1: {primary: 127.0.0.1:4010}
home: c0
schemas:
  shop:
    tables:
      orders: {shard: hash(user_id), shards: 8, on: [c0, c1]}
      countries:
        global: true
        on: [c0, c1]
`

const rulesAfter = `
listen: 127.0.0.1:3308
users: [{name: app, password: 1}, {name: new, password: two}]
clusters:
  c0:
    primary: 127.0.0.1:4000
  c1: {primary: 127.0.0.1:4010, replicas: [127.0.0.1:4011]}
backend: {user: serval, password: x}
home: c0
schemas:
  shop:
    tables:
      orders: {shard: hash(user_id), shards: 16, on: [c0, c1]}
      countries: {global: true, on: [c0, c1]}
`

func TestChangesAreSectionBySectionWithoutPasswords(t *testing.T) {
	from, err := Parse("a.yaml", []byte(rulesBefore))
	require.NoError(t, err)
	to, err := Parse("b.yaml", []byte(rulesAfter))
	require.NoError(t, err)
	require.Empty(t, Changes(from, from))
	require.Equal(t, []Change{
		{Name: "listen", From: "127.0.0.1:3307", To: "127.0.0.1:3308", Line: 2},
		{Name: "user app", From: "{name: app, password: …}", To: "{name: app, password: …}", Line: 3, Secret: true},
		{Name: "user new", To: "{name: new, password: …}", Line: 3},
		{Name: "cluster c1", From: "{primary: '127.0.0.1:4010'}", To: "{primary: '127.0.0.1:4010', replicas: ['127.0.0.1:4011']}", Line: 7},
		{Name: "table shop.orders", From: "{shard: hash(user_id), shards: 8, on: [c0, c1]}", To: "{shard: hash(user_id), shards: 16, on: [c0, c1]}", Line: 13},
		{Name: "user old", From: "{name: old, password: …}"},
	}, Changes(from, to))
}

func TestSharedRulesGiveWayToAServalsOwnKeysAlone(t *testing.T) {
	local := "listen: 127.0.0.1:9\nhome: c1\nstore: etcd://h:2379\nreplicas: {zone: b}\n"
	cfg, err := ParseShared("mine.yaml", []byte(local), "rules version 7", []byte(rulesBefore))
	require.NoError(t, err)
	require.Equal(t, []string{"127.0.0.1:9"}, cfg.Listen)
	require.Equal(t, "b", cfg.Replicas.Zone)
	require.Equal(t, "c0", cfg.Home, "what all share is the store's")
	require.Equal(t, "etcd://h:2379", cfg.Store)
	require.Equal(t, "rules version 7", cfg.Path)

	_, err = ParseShared("mine.yaml", []byte(local+"name: [x]\n"), "rules version 7", []byte(rulesBefore+"nonsense: 1\n"))
	require.EqualError(t, err, "mine.yaml:5: name is not a text; write a text\nrules version 7:16: unknown key nonsense in the file; known are admin, backend, clusters, features, finisher, hold_writes, home, limits, listen, local_infile, log, name, pool, replicas, schemas, store, tls, users")
}
