#!/bin/bash
# Run once by the mysql image in a new replica: the same accounts as on the primary, then replication by GTID.
# super_read_only is persisted, not a server flag, because the image itself has to write while it sets up.
set -euo pipefail

/bin/bash /serval/primary.sh

mysql --protocol=socket -uroot -p"$MYSQL_ROOT_PASSWORD" <<EOF
RESET BINARY LOGS AND GTIDS;
CHANGE REPLICATION SOURCE TO SOURCE_HOST='$PRIMARY', SOURCE_PORT=3306, SOURCE_USER='repl',
  SOURCE_PASSWORD='$REPLICATION_PASSWORD', SOURCE_AUTO_POSITION=1, SOURCE_CONNECT_RETRY=2,
  SOURCE_RETRY_COUNT=100000, GET_SOURCE_PUBLIC_KEY=1;
SET PERSIST super_read_only = ON;
EOF
