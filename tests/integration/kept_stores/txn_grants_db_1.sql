-- A database that the grants of a Txn-Token Service of format 1 have written, of a grant that four workloads passed on: sqlite3 txn_grants.db .dump, and the number of the format.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE grants (
  id TEXT PRIMARY KEY,
  parent_txn TEXT NOT NULL,
  root_txn TEXT NOT NULL,
  sub TEXT NOT NULL,
  scope TEXT NOT NULL,
  assignee TEXT NOT NULL,
  origin TEXT NOT NULL,
  chain TEXT NOT NULL,
  maker TEXT NOT NULL,
  made_ms INTEGER NOT NULL,
  not_after_ms INTEGER NOT NULL,
  uses INTEGER NOT NULL,
  used INTEGER NOT NULL,
  digest BLOB,
  subject TEXT NOT NULL,
  subject_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO grants VALUES('1xwCy9oR9v5haessTjDm-A','txn-1','txn-1','ada','order:pay','spiffe://core-platform.internal/ns/shop/sa/*','spiffe://core-platform.internal/ns/shop/sa/a','["spiffe://core-platform.internal/ns/shop/sa/a"]','spiffe://core-platform.internal/ns/shop/sa/a',1800000000000,1800003600000,2,1,NULL,'{"iss":"https://login.internal","sub":"ada","sid":"s1","iat":1800000000}','b6873a9b188cfdf420f51f2caee27966');
INSERT INTO grants VALUES('VuiKIlLmKxMOp6pC5tqKuA','txn-4','txn-1','ada','order:pay','spiffe://core-platform.internal/ns/shop/sa/*','spiffe://core-platform.internal/ns/shop/sa/a','["spiffe://core-platform.internal/ns/shop/sa/a","spiffe://core-platform.internal/ns/shop/sa/b","spiffe://core-platform.internal/ns/shop/sa/c","spiffe://core-platform.internal/ns/shop/sa/d"]','spiffe://core-platform.internal/ns/shop/sa/d',1800000000000,1800003597000,2,1,NULL,'{"iss":"https://login.internal","sub":"ada","sid":"s1","iat":1800000000}','b6873a9b188cfdf420f51f2caee27966');
INSERT INTO grants VALUES('r8c1-C_Nnf8w6bpfRx14rA','txn-2','txn-1','ada','order:pay','spiffe://core-platform.internal/ns/shop/sa/*','spiffe://core-platform.internal/ns/shop/sa/a','["spiffe://core-platform.internal/ns/shop/sa/a","spiffe://core-platform.internal/ns/shop/sa/b"]','spiffe://core-platform.internal/ns/shop/sa/b',1800000000000,1800003599000,2,1,NULL,'{"iss":"https://login.internal","sub":"ada","sid":"s1","iat":1800000000}','b6873a9b188cfdf420f51f2caee27966');
INSERT INTO grants VALUES('yNIBK3B1B1vhyUDsgvYPfg','txn-3','txn-1','ada','order:pay','spiffe://core-platform.internal/ns/shop/sa/*','spiffe://core-platform.internal/ns/shop/sa/a','["spiffe://core-platform.internal/ns/shop/sa/a","spiffe://core-platform.internal/ns/shop/sa/b","spiffe://core-platform.internal/ns/shop/sa/c"]','spiffe://core-platform.internal/ns/shop/sa/c',1800000000000,1800003598000,2,1,NULL,'{"iss":"https://login.internal","sub":"ada","sid":"s1","iat":1800000000}','b6873a9b188cfdf420f51f2caee27966');
CREATE TABLE uses (
  grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
  peer TEXT NOT NULL,
  jti TEXT NOT NULL,
  request BLOB NOT NULL,
  used_ms INTEGER NOT NULL,
  txn TEXT NOT NULL,
  exp_ms INTEGER NOT NULL,
  answer TEXT,
  passed_on TEXT NOT NULL,
  PRIMARY KEY (grant_id, peer, jti)
) STRICT, WITHOUT ROWID;
INSERT INTO uses VALUES('1xwCy9oR9v5haessTjDm-A','spiffe://core-platform.internal/ns/shop/sa/b','4',X'db834904cd6c69117786dc0f5a99c96cd964e15a0428c07e98ee9c5b15848be5',1800000000000,'txn-2',1800000120000,'{"iss":"https://tts.core-platform.internal:7446","iat":1800000000,"exp":1800000120,"aud":"core-platform.internal","txn":"txn-2","sub":"ada","scope":"order:pay","req_wl":"spiffe://core-platform.internal/ns/shop/sa/b","tctx":{"kind":1,"parent_txn":"txn-1","root_txn":"txn-1","origin":"spiffe://core-platform.internal/ns/shop/sa/a","chain":["spiffe://core-platform.internal/ns/shop/sa/a"]}}','r8c1-C_Nnf8w6bpfRx14rA');
INSERT INTO uses VALUES('VuiKIlLmKxMOp6pC5tqKuA','spiffe://core-platform.internal/ns/shop/sa/e','6',X'42e51bff532894f45033d3a71cbce95ab46fed8f869088e7addd105db366fe5b',1800000000000,'txn-5',1800000120000,'{"iss":"https://tts.core-platform.internal:7446","iat":1800000000,"exp":1800000120,"aud":"core-platform.internal","txn":"txn-5","sub":"ada","scope":"order:pay","req_wl":"spiffe://core-platform.internal/ns/shop/sa/e","tctx":{"kind":1,"parent_txn":"txn-4","root_txn":"txn-1","origin":"spiffe://core-platform.internal/ns/shop/sa/a","chain":["spiffe://core-platform.internal/ns/shop/sa/a","spiffe://core-platform.internal/ns/shop/sa/b","spiffe://core-platform.internal/ns/shop/sa/c","spiffe://core-platform.internal/ns/shop/sa/d"]}}','');
INSERT INTO uses VALUES('r8c1-C_Nnf8w6bpfRx14rA','spiffe://core-platform.internal/ns/shop/sa/c','4',X'402649149f5ffc0fe70b31917ac256e028ebe7492cc80f136471981fb87e5a36',1800000000000,'txn-3',1800000120000,'{"iss":"https://tts.core-platform.internal:7446","iat":1800000000,"exp":1800000120,"aud":"core-platform.internal","txn":"txn-3","sub":"ada","scope":"order:pay","req_wl":"spiffe://core-platform.internal/ns/shop/sa/c","tctx":{"kind":1,"parent_txn":"txn-2","root_txn":"txn-1","origin":"spiffe://core-platform.internal/ns/shop/sa/a","chain":["spiffe://core-platform.internal/ns/shop/sa/a","spiffe://core-platform.internal/ns/shop/sa/b"]}}','yNIBK3B1B1vhyUDsgvYPfg');
INSERT INTO uses VALUES('yNIBK3B1B1vhyUDsgvYPfg','spiffe://core-platform.internal/ns/shop/sa/d','4',X'77af1c559cca6c1d6f43a5976599c2a77ad81ed0a09d8e51f65506ecec973df4',1800000000000,'txn-4',1800000120000,'{"iss":"https://tts.core-platform.internal:7446","iat":1800000000,"exp":1800000120,"aud":"core-platform.internal","txn":"txn-4","sub":"ada","scope":"order:pay","req_wl":"spiffe://core-platform.internal/ns/shop/sa/d","tctx":{"kind":1,"parent_txn":"txn-3","root_txn":"txn-1","origin":"spiffe://core-platform.internal/ns/shop/sa/a","chain":["spiffe://core-platform.internal/ns/shop/sa/a","spiffe://core-platform.internal/ns/shop/sa/b","spiffe://core-platform.internal/ns/shop/sa/c"]}}','VuiKIlLmKxMOp6pC5tqKuA');
CREATE INDEX grants_parent_txn ON grants (parent_txn);
CREATE INDEX grants_not_after ON grants (not_after_ms);
CREATE INDEX grants_maker ON grants (maker);
CREATE INDEX uses_answered ON uses (used_ms) WHERE answer IS NOT NULL;
COMMIT;
PRAGMA user_version = 1;
