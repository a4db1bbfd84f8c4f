-- A database that the registry's join tokens of format 1 have written: sqlite3 join-tokens.db .dump, and the number of the format.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE tokens (
  secret BLOB PRIMARY KEY,
  node TEXT NOT NULL,
  issuer TEXT NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tokens VALUES(X'5b06ddff7f83bcf4fcfa0e83e56e0744acfe77f3f4f58320f5496fe028be2967','edge-1','spiffe://core-platform.internal/admin/ops',1795086400000,1795000060000);
INSERT INTO tokens VALUES(X'79f777c61a0a401549ffdb8c9e93fbd258faff020f77f99d70b370fb650d513e','edge-2','spiffe://core-platform.internal/admin/ops',1795086400000,0);
INSERT INTO tokens VALUES(X'a36162ef6b5a5239ade1c84db55800c1a870cf4e37f0cbbfe3bd7aa510f450d9','edge-3','spiffe://core-platform.internal/admin/ops',1795003600000,0);
COMMIT;
PRAGMA user_version = 1;
