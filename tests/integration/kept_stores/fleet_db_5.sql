-- A database that the registry's fleet of format 5 has written: sqlite3 fleet.db .dump, and the number of the format.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE nodes (
  identity TEXT PRIMARY KEY,
  agent TEXT NOT NULL,
  connected INTEGER NOT NULL,
  seen_ms INTEGER NOT NULL
, lag_since_ms INTEGER) STRICT, WITHOUT ROWID;
INSERT INTO nodes VALUES('spiffe://core-platform.internal/node/edge-1','notp-client/0.1.0',0,1795000009500,NULL);
INSERT INTO nodes VALUES('spiffe://core-platform.internal/node/edge-2','notp-client/0.1.0',0,1795000009600,NULL);
INSERT INTO nodes VALUES('spiffe://core-platform.internal/node/edge-3','notp-client/0.1.0',1,1795000000200,NULL);
CREATE TABLE node_ledgers (
  identity TEXT NOT NULL REFERENCES nodes (identity),
  zone INTEGER NOT NULL,
  ledger TEXT NOT NULL,
  version INTEGER NOT NULL,
  state INTEGER NOT NULL,
  active_version INTEGER NOT NULL,
  code INTEGER NOT NULL,
  message TEXT NOT NULL,
  since_ms INTEGER NOT NULL, freshness INTEGER NOT NULL DEFAULT 0, vouched_ms INTEGER NOT NULL DEFAULT 0, reported_ms INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (identity, zone, ledger)
) STRICT, WITHOUT ROWID;
INSERT INTO node_ledgers VALUES('spiffe://core-platform.internal/node/edge-1',100000000001,'access',3,2,3,0,'',1795000001200,1,0,1795000001200);
INSERT INTO node_ledgers VALUES('spiffe://core-platform.internal/node/edge-1',273165098782,'payments',8,3,7,50,'rules.rego:3: var x is unsafe',1795000009000,1,1795000005000,1795000009000);
INSERT INTO node_ledgers VALUES('spiffe://core-platform.internal/node/edge-2',273165098782,'payments',7,2,7,0,'',1795000001300,1,1795000005000,1795000001300);
CREATE TABLE subscriptions (
  identity TEXT NOT NULL REFERENCES nodes (identity),
  zone INTEGER NOT NULL,
  ledger TEXT NOT NULL,
  PRIMARY KEY (identity, zone, ledger)
) STRICT, WITHOUT ROWID;
INSERT INTO subscriptions VALUES('spiffe://core-platform.internal/node/edge-1',100000000001,'access');
INSERT INTO subscriptions VALUES('spiffe://core-platform.internal/node/edge-3',100000000001,'access');
INSERT INTO subscriptions VALUES('spiffe://core-platform.internal/node/edge-1',273165098782,'payments');
INSERT INTO subscriptions VALUES('spiffe://core-platform.internal/node/edge-2',273165098782,'payments');
INSERT INTO subscriptions VALUES('spiffe://core-platform.internal/node/edge-3',273165098782,'payments');
CREATE INDEX subscriptions_by_ledger ON subscriptions (zone, ledger);
COMMIT;
PRAGMA user_version = 5;
