#!/bin/bash
# Run once by the mysql image in a new primary: the accounts of Serval and of replication. They are not written to the
# binary log: a replica makes its own, and the clusters' histories begin with the first application write.
set -euo pipefail

mysql --protocol=socket -uroot -p"$MYSQL_ROOT_PASSWORD" <<EOF
SET sql_log_bin = 0;
CREATE USER 'serval'@'%' IDENTIFIED BY '$SERVAL_BACKEND_PASSWORD';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES,
  CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW,
  CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER, XA_RECOVER_ADMIN, SESSION_VARIABLES_ADMIN ON *.* TO 'serval'@'%';
CREATE USER 'repl'@'%' IDENTIFIED BY '$REPLICATION_PASSWORD';
GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';
SET sql_log_bin = 1;
EOF
