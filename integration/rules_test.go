package integration

import "fmt"

// oracleTables are the rules of the oracle's schema, the one the router's plan
// files are written for.
func oracleTables(shards int) string {
	return fmt.Sprintf(`users: {shard: hash(id), shards: %d, on: [c0, c1]}
orders: {shard: hash(user_id), like: users}
order_items: {shard: hash(user_id), like: users}
comments: {shard: hash(item_id), shards: %d, on: [c0, c1]}
payment_logs: {shard: month(paid_at), on: [c0, c1], from: 2026-09, ahead: 1}
payments: {shard: "month(paid_at), hash(user_id) x 4", on: [c0, c1], from: 2026-09, ahead: 1}
countries: {global: true, on: [c0, c1]}
catalog: {on: c1}
`, shards, shards)
}
