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
