"""What an application with PyMySQL does: arguments are host, port, user, password, schema with an empty table t."""
import datetime
import decimal
import sys

import pymysql
import pymysql.cursors

host, port, user, password, schema = sys.argv[1:]
conn = pymysql.connect(host=host, port=int(port), user=user, password=password, database=schema, charset="utf8mb4")
at = datetime.datetime(2026, 11, 23, 10, 0, 0, 123000)
rows = [(i, i % 7, "naïve %d" % i, decimal.Decimal("%d.50" % i), at) for i in range(1, 101)]
with conn.cursor() as c:
    assert c.executemany("INSERT INTO t (id, n, name, price, at) VALUES (%s, %s, %s, %s, %s)", rows) == 100
conn.commit()
with conn.cursor() as c:
    assert c.execute("SELECT id, n, name, price, at FROM t WHERE id = %s", (42,)) == 1
    assert c.fetchone() == rows[41]
    c.execute("SELECT id, n, name, price, at FROM t ORDER BY id")
    assert list(c.fetchall()) == rows
    c.execute("SELECT n, COUNT(*), SUM(price) FROM t GROUP BY n ORDER BY n")
    want = [(n, len(g), sum(g)) for n in range(7) for g in [[r[3] for r in rows if r[1] == n]]]
    assert list(c.fetchall()) == want
    assert c.execute("UPDATE t SET n = 100 WHERE id = %s", (7,)) == 1
    assert c.execute("DELETE FROM t WHERE n = 6") == len([r for r in rows if r[1] == 6])
conn.rollback()
with conn.cursor(pymysql.cursors.SSDictCursor) as c:
    c.execute("SELECT id FROM t WHERE id BETWEEN 10 AND 20 ORDER BY id")
    assert [r["id"] for r in c] == list(range(10, 21))
with conn.cursor() as c:
    try:
        c.execute("SELECT * FROM no_such_table")
        raise AssertionError("a table that does not exist")
    except pymysql.err.ProgrammingError as e:
        assert e.args[0] == 1146, e
    try:
        c.execute("INSERT INTO t (id) VALUES (1)")
        raise AssertionError("a duplicate key")
    except pymysql.err.IntegrityError as e:
        assert e.args[0] == 1062, e
conn.rollback()
conn.ping(reconnect=False)
conn.close()
print("ok")
