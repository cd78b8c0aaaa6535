package router

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/servaldb/serval/catalog"
	"github.com/servaldb/serval/router/plan"
	"github.com/servaldb/serval/shardrule"
)

// A rename runs on every shard where the new name has a rule of the same layout.
func TestRenamePlans(t *testing.T) {
	cat := shop(t)
	tables := cat.Schemas["shop"].Tables
	for name, like := range map[string]string{"people": "users", "old_users": "users", "new_comments": "comments", "lands": "countries", "logs": "payment_logs"} {
		p := *tables[like].Placement
		p.Table, p.Shards = name, append(p.Shards[:0:0], p.Shards...)
		for i := range p.Shards {
			p.Shards[i].Table = strings.Replace(p.Shards[i].Table, like, name, 1)
		}
		if p.Kind == shardrule.Sharded {
			p.Column = shardrule.Column{Name: p.Column.Name}
		}
		tables[name] = &catalog.Table{Name: name, Placement: &p}
	}
	for sql, want := range map[string]string{
		"RENAME TABLE users TO people":                        "RENAME TABLE `shop_0`.`users` TO `shop_0`.`people`",
		"ALTER TABLE users RENAME TO people":                  "ALTER TABLE `shop_0`.`users` RENAME TO `shop_0`.`people`",
		"ALTER TABLE users RENAME people":                     "ALTER TABLE `shop_0`.`users` RENAME `shop_0`.`people`",
		"RENAME TABLE users TO old_users, people TO users":    "RENAME TABLE `shop_0`.`users` TO `shop_0`.`old_users`, `shop_0`.`people` TO `shop_0`.`users`",
		"RENAME TABLE shop.comments TO shop.new_comments":     "RENAME TABLE `shop_0`.`comments` TO `shop_0`.`new_comments`",
		"RENAME TABLE countries TO lands":                     "RENAME TABLE `shop`.`countries` TO `shop`.`lands`",
		"RENAME TABLE payment_logs TO logs":                   "RENAME TABLE `shop`.`payment_logs_202609` TO `shop`.`logs_202609`",
		"RENAME TABLE users TO new_comments":                  "",
		"RENAME TABLE users TO people, countries TO lands":    "",
		"RENAME TABLE users TO people, settings TO old_users": "",
	} {
		p, b, err := planText(t, cat, "shop", sql)
		if want == "" {
			require.ErrorContains(t, err, "renaming", sql)
			continue
		}
		require.NoError(t, err, sql)
		require.Contains(t, plan.Format(p, b), "Job rename shop.", sql)
		require.Contains(t, plan.Format(p, b), want, sql)
	}
}
