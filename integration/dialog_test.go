package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dialogs, and those of testdata/dialogs/*.txt, are statements whose answers depend on those before them: what a
// session keeps. Each is said to Serval and to a plain server, and every answer
// must be the same. A line that begins with "mysql:" or "mariadb:" is for that
// engine only.
var dialogs = map[string]string{
	"FOUND_ROWS behind a read of one shard, of several and of one server": `
SELECT id FROM users WHERE id = 1
SELECT FOUND_ROWS()
SELECT id FROM users ORDER BY id LIMIT 3
SELECT id FROM users ORDER BY id LIMIT 2, 3
SELECT FOUND_ROWS()
SELECT COUNT(DISTINCT country) FROM users
SELECT FOUND_ROWS()
SELECT name FROM settings
SELECT FOUND_ROWS()
SELECT id FROM users WHERE id = -5
SELECT FOUND_ROWS()
SELECT id FROM users LIMIT 0
SELECT FOUND_ROWS()
SELECT id FROM users UNION SELECT 1
SELECT FOUND_ROWS()
SELECT code FROM countries ORDER BY code
SELECT FOUND_ROWS()`,
	"SQL_CALC_FOUND_ROWS on one shard, several, one server, with warnings, in a transaction": `
SELECT SQL_CALC_FOUND_ROWS id FROM users ORDER BY id LIMIT 2
SELECT FOUND_ROWS()
SELECT FOUND_ROWS()
SELECT SQL_CALC_FOUND_ROWS id, country FROM users WHERE id > 3 ORDER BY country, id LIMIT 2, 1
SELECT FOUND_ROWS() AS n
SELECT SQL_CALC_FOUND_ROWS id FROM orders WHERE user_id = 3 ORDER BY id LIMIT 1
SELECT FOUND_ROWS()
SELECT SQL_CALC_FOUND_ROWS country, COUNT(*) FROM users GROUP BY country ORDER BY country LIMIT 1
SELECT FOUND_ROWS()
SELECT SQL_CALC_FOUND_ROWS * FROM settings ORDER BY name LIMIT 1
SELECT FOUND_ROWS()
SELECT SQL_CALC_FOUND_ROWS code FROM countries ORDER BY code LIMIT 1
SELECT FOUND_ROWS()
SELECT SQL_CALC_FOUND_ROWS id, name + 0 FROM users ORDER BY id LIMIT 1
SELECT FOUND_ROWS()
SELECT SQL_CALC_FOUND_ROWS id FROM users WHERE id IN (1, 2, 3) UNION SELECT 4 ORDER BY id LIMIT 1
SELECT FOUND_ROWS()
BEGIN
INSERT INTO users (id, name) VALUES (90001, 'x'), (90002, 'y'), (90003, 'z')
SELECT SQL_CALC_FOUND_ROWS id FROM users WHERE id > 90000 ORDER BY id LIMIT 1
SELECT FOUND_ROWS()
ROLLBACK
SELECT SQL_CALC_FOUND_ROWS id FROM users WHERE id > 90000 ORDER BY id LIMIT 1
SELECT FOUND_ROWS()`,
	"warnings of reads where one connection answers for several shards": `
BEGIN
UPDATE users SET age = age + 1
SELECT id, CAST(name AS SIGNED) FROM users
SELECT id, CAST(name AS SIGNED) FROM users ORDER BY id
SELECT SUM(CAST(name AS SIGNED)) FROM users
SELECT COUNT(*) FROM users WHERE age = '7x'
SELECT id, 1 / 0 FROM users WHERE age = '7x' LIMIT 1000
SELECT COUNT(DISTINCT country) FROM users WHERE age > '3x'
SHOW COUNT(*) WARNINGS
ROLLBACK
SELECT id FROM users WHERE id = 1`,
	"FOUND_ROWS and ROW_COUNT behind what is no SELECT": `
SELECT SQL_CALC_FOUND_ROWS id FROM users ORDER BY id LIMIT 2
SELECT nothing FROM users
SELECT FOUND_ROWS(), ROW_COUNT()
SELECT SQL_CALC_FOUND_ROWS id FROM users ORDER BY id LIMIT 2
SET @x = 1
SELECT FOUND_ROWS(), ROW_COUNT()
SELECT SQL_CALC_FOUND_ROWS id FROM users ORDER BY id LIMIT 2
INSERT INTO users (id, name) VALUES (90001, 'x'), (90002, 'y')
SELECT FOUND_ROWS()
UPDATE users SET name = 'q' WHERE id > 90000
DELETE FROM users WHERE id > 90000
SHOW TABLES LIKE 'user%'
SELECT FOUND_ROWS()
BEGIN
SELECT id FROM users ORDER BY id LIMIT 4
COMMIT
SELECT FOUND_ROWS()`,
	"user variables set by a SELECT over shards": `
SET @n = 0, @m = NULL
SELECT @n := @n + 1, id FROM users ORDER BY id LIMIT 5
SELECT @n
SELECT COUNT(*) INTO @n FROM orders
SELECT @n
SELECT name, id FROM users WHERE id = 3 INTO @a, @b
SELECT @a, @b, CHARSET(@a), COLLATION(@a)
SELECT MAX(id), MIN(country) INTO @a, @b FROM users
SELECT @a, @b
SELECT id INTO @a FROM users ORDER BY id
SELECT @a
SELECT id INTO @c FROM users WHERE id = -1
SELECT @c
SELECT id INTO @c FROM users WHERE id < -1
SELECT @c
SELECT SUM(total), AVG(total) INTO @s, @v FROM orders
SELECT @s, @v
SELECT id FROM users WHERE id = @b + 1 OR id = @n ORDER BY id
SELECT u.id, @r := o.id FROM users u JOIN orders o ON o.id = u.id ORDER BY u.id LIMIT 3
SELECT @r IS NULL
SELECT id, name INTO @a FROM users WHERE id = 1
SELECT name INTO @a FROM settings LIMIT 1
SELECT @a
SELECT 7 INTO @j
SELECT @j
BEGIN
INSERT INTO users (id, name) VALUES (90001, 'mine')
SELECT COUNT(*), MAX(name) INTO @a, @b FROM users WHERE id > 90000
SELECT @a, @b
ROLLBACK`,
	"named locks with sharded tables": `
SELECT GET_LOCK('dialog', 1), id FROM users WHERE id = 1
SELECT IS_FREE_LOCK('dialog')
SELECT RELEASE_LOCK('dialog'), COUNT(*) FROM users
SELECT IS_FREE_LOCK('dialog')
BEGIN
INSERT INTO users (id, name) VALUES (90001, 'mine')
SELECT COUNT(*) FROM users WHERE id > 90000
ROLLBACK
SELECT RELEASE_LOCK('dialog')`,
	"stored functions over sharded tables": `
CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN 2 * n
CREATE FUNCTION setting_of(n VARCHAR(40)) RETURNS VARCHAR(80) READS SQL DATA RETURN (SELECT value FROM settings WHERE name = n)
CREATE FUNCTION note(n VARCHAR(40)) RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO settings (name, value) VALUES (n, 'noted'); RETURN 1; END
SELECT id, twice(age) FROM users ORDER BY id LIMIT 5
SELECT SUM(shop.twice(total)) FROM orders
SELECT id FROM users WHERE twice(id) = 6
SELECT setting_of(name), id FROM users WHERE id < 3 ORDER BY id
SELECT thrice(age) FROM users
SELECT note('a function was here'), id FROM users WHERE id = 1
SELECT value FROM settings WHERE name = 'a function was here'
DELETE FROM settings WHERE name = 'a function was here'
DROP FUNCTION twice
DROP FUNCTION setting_of
DROP FUNCTION note`,
	"what Serval's parser does not read, in a transaction and with the home's tables": `
SELECT COUNT(*), SUM(j.x) FROM users u JOIN JSON_TABLE('[1,2,90001]', '$[*]' COLUMNS (x INT PATH '$')) j ON j.x = u.id
BEGIN
INSERT INTO settings (name, value) VALUES ('mine', 'seen')
SELECT s.value, COUNT(*) FROM users u JOIN JSON_TABLE('[1,2,90001]', '$[*]' COLUMNS (x INT PATH '$')) j ON j.x = u.id JOIN settings s ON s.name = 'mine' GROUP BY s.value
INSERT INTO users (id, name) VALUES (90001, 'mine')
SELECT s.value, COUNT(*) FROM users u JOIN JSON_TABLE('[1,2,90001]', '$[*]' COLUMNS (x INT PATH '$')) j ON j.x = u.id JOIN settings s ON s.name = u.name GROUP BY s.value
ROLLBACK
SELECT COUNT(*) FROM users u JOIN JSON_TABLE('[1,2,90001]', '$[*]' COLUMNS (x INT PATH '$')) j ON j.x = u.id JOIN settings s ON s.name = u.name
SELECT COUNT(*) INTO @n FROM users a JOIN users b ON a.id = b.id JOIN JSON_TABLE('[1,2]', '$[*]' COLUMNS (x INT PATH '$')) j ON j.x = a.id
SELECT @n
SELECT id FROM users JOIN JSON_TABLE('[1,2,3]', '$[*]' COLUMNS (x INT PATH '$')) j ON j.x = id ORDER BY id LIMIT 2
CREATE TEMPORARY TABLE picked (id BIGINT PRIMARY KEY)
INSERT INTO picked VALUES (1), (3)
SELECT id, x FROM users JOIN picked USING (id) JOIN JSON_TABLE('[1,2,3]', '$[*]' COLUMNS (x INT PATH '$')) j ON j.x = id ORDER BY id
DROP TEMPORARY TABLE picked
mysql: VALUES ROW(1, 2), ROW(3, 4)
mariadb: VALUES (1, 2), (3, 4)
mariadb: SELECT * FROM (VALUES (1, 2), (3, 4)) v ORDER BY 1
SELECT id FROM users WHERE id = = 1`,
	"warnings behind what is merged or finished": `
SELECT id, name + 0 FROM users WHERE id = 1
SHOW COUNT(*) WARNINGS
SELECT SUM(name) FROM users WHERE id = 1
SHOW WARNINGS
SELECT COUNT(DISTINCT name + 0) FROM users WHERE id < 3
SHOW COUNT(*) WARNINGS
SHOW COUNT(*) ERRORS
SELECT nothing FROM users
SHOW COUNT(*) ERRORS
SHOW ERRORS
SELECT COUNT(DISTINCT nothing) FROM users
SHOW COUNT(*) ERRORS
SHOW WARNINGS
SELECT COUNT(DISTINCT id) FROM users
SHOW COUNT(*) WARNINGS`,
}

// runDialogs: what a session keeps between statements is what one server keeps.
func (o *oracle) runDialogs(t *testing.T) {
	all := maps.Clone(dialogs)
	files, err := filepath.Glob("testdata/dialogs/*.txt")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for name, lines := range talksOf(string(text)) {
			all[name] = strings.Join(lines, "\n")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text := all[name]
		for _, prepared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s prepared=%v", name, prepared), func(t *testing.T) { o.dialog(t, text, prepared) })
		}
	}
}

// dialog says the lines to both sides. With prepared, those that read are
// prepared statements.
func (o *oracle) dialog(t *testing.T, text string, prepared bool) {
	o.both(t, "SELECT 1 FROM settings LIMIT 1") // on MariaDB a SET leaves the warnings of the dialog before
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if engine, rest, ok := strings.Cut(line, ": "); ok && (engine == "mysql" || engine == "mariadb") {
			if line = rest; engine != o.engine {
				continue
			}
		}
		m := mode{name: "text", sql: line, prepared: prepared && readHead.MatchString(line) && !strings.HasPrefix(line, "SHOW")}
		want, got := observe(t.Context(), o.plain, m), observe(t.Context(), o.serval, m)
		if diff := compare(line, want, got); diff != "" {
			t.Errorf("line %d: %s\n%s", i+1, line, diff)
		}
	}
}
