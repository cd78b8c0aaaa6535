"""COM_CHANGE_USER and COM_RESET_CONNECTION as libmariadb sends them.

Usage: changeuser.py port; prints what a test compares, a line a step.
"""
import ctypes
import sys

lib = ctypes.CDLL("libmariadb.so.3")
lib.mysql_init.restype = lib.mysql_real_connect.restype = lib.mysql_store_result.restype = ctypes.c_void_p
lib.mysql_error.restype = ctypes.c_char_p
lib.mysql_fetch_row.restype = ctypes.POINTER(ctypes.c_char_p)
pointer = ctypes.c_void_p


def connect():
    db = pointer(lib.mysql_init(None))
    off = ctypes.c_char(b"\0")
    lib.mysql_options(db, 21, ctypes.byref(off))  # MYSQL_OPT_SSL_VERIFY_SERVER_CERT
    ok = lib.mysql_real_connect(db, b"127.0.0.1", b"app", b"s3cret", b"chuser", ctypes.c_uint(int(sys.argv[1])), None, ctypes.c_ulong(0))
    assert ok, lib.mysql_error(db)
    return db


def query(db, sql):
    if lib.mysql_query(db, sql.encode()):
        return "error %d %s" % (lib.mysql_errno(db), lib.mysql_error(db).decode())
    result = lib.mysql_store_result(db)
    if not result:
        return "ok"
    rows, n = [], lib.mysql_num_fields(pointer(result))
    while row := lib.mysql_fetch_row(pointer(result)):
        rows.append(" ".join("NULL" if row[i] is None else row[i].decode() for i in range(n)))
    lib.mysql_free_result(pointer(result))
    return ", ".join(rows)


def say(db, sql):
    print(sql, "->", query(db, sql))


def change(db, user, password, schema):
    args = [a and a.encode() for a in (user, password, schema)]
    failed = lib.mysql_change_user(db, *args)
    print("change user", user, schema, "->", "error %d" % lib.mysql_errno(db) if failed else "ok")


STATE = ["SET @x = 1", "SET sql_mode = ''", "CREATE TEMPORARY TABLE tmp (id INT)", "SELECT GET_LOCK('changing', 0)", "BEGIN", "UPDATE t SET n = 0"]
LOOK = ["SELECT CURRENT_USER(), DATABASE(), @x, @@sql_mode = ''", "SELECT * FROM tmp", "SELECT IS_FREE_LOCK('changing')", "SELECT SUM(n) FROM t"]

db = connect()
for step in ("change", "reset"):
    for sql in STATE:
        say(db, sql)
    if step == "change":
        change(db, "report", "r3port", "chuser")
    else:
        print("reset ->", lib.mysql_reset_connection(db))
    for sql in LOOK:
        say(db, sql)
    if step == "change":
        say(db, "UPDATE t SET n = 0")
        change(db, "app", "s3cret", None)
        say(db, "SELECT CURRENT_USER(), DATABASE()")
        say(db, "SELECT * FROM t")
        change(db, "app", "s3cret", "chuser")
change(db, "app", "wrong", "chuser")
print("then", query(db, "SELECT 1").split()[0])
db = connect()
change(db, "app", "s3cret", "not_there_at_all")
