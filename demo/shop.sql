CREATE DATABASE IF NOT EXISTS shop;
CREATE TABLE shop.countries (
  code CHAR(2) NOT NULL PRIMARY KEY,
  name VARCHAR(60) NOT NULL
);
CREATE TABLE shop.users (
  id BIGINT NOT NULL PRIMARY KEY,
  name VARCHAR(60) NOT NULL,
  email VARCHAR(120) NOT NULL,
  country CHAR(2) NOT NULL,
  created_at DATETIME NOT NULL,
  KEY by_country (country)
);
CREATE TABLE shop.orders (
  id BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  status VARCHAR(12) NOT NULL,
  total DECIMAL(10,2) NOT NULL,
  created_at DATETIME NOT NULL,
  PRIMARY KEY (user_id, id),
  KEY by_status (status)
);
CREATE TABLE shop.order_items (
  id BIGINT NOT NULL,
  order_id BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  item_id BIGINT NOT NULL,
  quantity INT NOT NULL,
  price DECIMAL(10,2) NOT NULL,
  PRIMARY KEY (user_id, id)
);
CREATE TABLE shop.comments (
  id BIGINT NOT NULL,
  item_id BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  stars TINYINT NOT NULL,
  body VARCHAR(200) NOT NULL,
  PRIMARY KEY (item_id, id)
);
CREATE TABLE shop.payment_logs (
  id BIGINT NOT NULL,
  order_id BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  amount DECIMAL(10,2) NOT NULL,
  paid_at DATETIME NOT NULL,
  PRIMARY KEY (paid_at, id)
);
