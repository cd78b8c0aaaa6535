-- The tables of the plan cases, as a plain server has them. The oracle creates
-- them on one server and through Serval, and runs the same SQL on both.
CREATE TABLE users (
  id BIGINT NOT NULL PRIMARY KEY,
  name VARCHAR(40) CHARACTER SET utf8mb4,
  email VARCHAR(80) CHARACTER SET utf8mb4,
  country CHAR(2) CHARACTER SET utf8mb4,
  kind ENUM('retail','business','staff'),
  born DATE,
  age INT
);
CREATE TABLE orders (
  id BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  region VARCHAR(20) CHARACTER SET utf8mb4,
  status ENUM('new','paid','sent','done') NOT NULL DEFAULT 'new',
  total DECIMAL(12,2),
  created DATETIME,
  PRIMARY KEY (user_id, id)
);
CREATE TABLE order_items (
  user_id BIGINT NOT NULL,
  order_id BIGINT NOT NULL,
  line INT NOT NULL,
  sku VARCHAR(20) CHARACTER SET utf8mb4,
  qty INT,
  price DECIMAL(10,2),
  PRIMARY KEY (user_id, order_id, line)
);
CREATE TABLE comments (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  item_id BIGINT NOT NULL,
  body TEXT CHARACTER SET utf8mb4,
  likes INT NOT NULL DEFAULT 0,
  KEY (item_id)
);
CREATE TABLE payment_logs (
  id BIGINT NOT NULL,
  paid_at DATETIME NOT NULL,
  amount DECIMAL(12,2),
  note VARCHAR(40) CHARACTER SET utf8mb4,
  PRIMARY KEY (id, paid_at)
);
CREATE TABLE payments (
  id BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  paid_at DATETIME NOT NULL,
  amount DECIMAL(12,2),
  note VARCHAR(40) CHARACTER SET utf8mb4,
  PRIMARY KEY (id, user_id, paid_at)
);
CREATE TABLE countries (
  code CHAR(2) CHARACTER SET utf8mb4 NOT NULL PRIMARY KEY,
  name VARCHAR(40) CHARACTER SET utf8mb4
);
CREATE TABLE catalog (
  sku VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL PRIMARY KEY,
  title VARCHAR(80) CHARACTER SET utf8mb4,
  price DECIMAL(10,2)
);
CREATE TABLE settings (
  name VARCHAR(40) CHARACTER SET utf8mb4 NOT NULL PRIMARY KEY,
  value VARCHAR(80) CHARACTER SET utf8mb4
);
-- Views of the plan cases, in a database without rules.
CREATE OR REPLACE VIEW other.adults AS SELECT id, name, country, age FROM shop.users WHERE age >= 18;
CREATE OR REPLACE VIEW other.spent (user_id, orders, total) AS SELECT user_id, COUNT(*), SUM(total) FROM shop.orders GROUP BY user_id;
CREATE OR REPLACE VIEW other.regions AS SELECT region, COUNT(*) AS n, AVG(total) AS mean FROM shop.orders GROUP BY region;
CREATE OR REPLACE VIEW other.best AS SELECT id, user_id, total FROM shop.orders ORDER BY total DESC, user_id, id LIMIT 5;
CREATE OR REPLACE VIEW other.rich AS SELECT a.id, a.name, s.total FROM other.adults a JOIN other.spent s ON s.user_id = a.id;
CREATE OR REPLACE VIEW other.by_name AS SELECT name, id FROM shop.users ORDER BY name DESC, id;
