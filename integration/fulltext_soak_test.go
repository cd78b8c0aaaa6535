//go:build soak

package integration

import "testing"

// Which rows match a full-text search is the same over shards, however their
// words are spread.
func TestSoakFullText(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *serverSet) {
		compareAll(t, s, "docs_ft", "doc: {shard: hash(id), shards: 4, on: [c0, c1]}\n", `
CREATE TABLE doc (id INT NOT NULL PRIMARY KEY, title VARCHAR(40), body TEXT, FULLTEXT KEY words (title, body))
INSERT INTO doc VALUES (1, 'apple pie', 'sugar butter apple'), (2, 'pear pie', 'sugar butter pear'), (3, 'apple juice', 'cold apple'), (4, 'bread', 'flour water salt'), (5, 'bread butter', 'butter butter butter'), (6, 'butter', 'butter'), (7, 'nothing', NULL), (8, NULL, 'apple bread')
SELECT id FROM doc WHERE MATCH (title, body) AGAINST ('apple') ORDER BY id
SELECT id FROM doc WHERE MATCH (title, body) AGAINST ('butter apple') ORDER BY id LIMIT 4
SELECT id FROM doc WHERE MATCH (title, body) AGAINST ('+butter -apple' IN BOOLEAN MODE) ORDER BY id
SELECT id FROM doc WHERE MATCH (title, body) AGAINST ('+appl* >pie' IN BOOLEAN MODE) AND id > 1 ORDER BY id
SELECT COUNT(*) FROM doc WHERE NOT MATCH (title, body) AGAINST ('butter') OR id = 5
SELECT COUNT(*) FROM doc a JOIN doc b ON a.id = b.id WHERE MATCH (a.title, a.body) AGAINST ('"sugar butter"' IN BOOLEAN MODE)
SELECT id FROM doc WHERE MATCH (title, body) AGAINST ('flour water butter') OR MATCH (title, body) AGAINST ('cold' IN BOOLEAN MODE) ORDER BY id
`, "SELECT id FROM doc ORDER BY id")
	})
}
