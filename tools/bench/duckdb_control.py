"""The control of `notp-bench audit`: the same records in Parquet, the same questions to DuckDB.

Usage: duckdb_control.py QUESTIONS.json
Prints one JSON object: version, write_s, parquet_bytes, records, and for each question its times in
ms and the records found. DuckDB gets what helps it: the fields that are asked about are columns of
their own, made when the file is written, and questions run on one thread over a warm file, like
those of the audit store.
"""

import json
import os
import sys
import time

import duckdb

# OPA's event, with its objects as texts.
COLUMNS = {
    **dict.fromkeys(("decision_id", "trace_id", "span_id", "path", "requested_by", "timestamp"), "VARCHAR"),
    **dict.fromkeys(("labels", "bundles", "input", "result", "error", "erased", "masked", "metrics", "notp"), "JSON"),
}
WRITE = """
COPY (
  SELECT * REPLACE (CAST(timestamp AS TIMESTAMP_NS) AS timestamp),
         json_extract_string(notp, '$.ledger') AS ledger,
         json_extract_string(notp, '$.outcome') AS outcome,
         json_extract_string(input, '$.case') AS case_number,
         json_extract_string(input, '$.attributes.request.method') AS method
  FROM read_ndjson($exported, columns = {columns}, compression = 'zstd')
) TO '{parquet}' (FORMAT parquet, COMPRESSION zstd)
"""


def write_parquet(database, exported, parquet):
    columns = "{" + ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items()) + "}"
    quoted = parquet.replace("'", "''")
    begin = time.perf_counter()
    database.execute(WRITE.format(columns=columns, parquet=quoted), {"exported": exported})
    taken = time.perf_counter() - begin
    database.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet('{quoted}')")
    return taken


def questions_of(asked):
    text = asked["text"]
    contains = "SELECT * FROM events WHERE contains(input, $1) OR contains(result, $1)"
    newest = asked["newest"]
    return {
        "rare_value": ("SELECT * FROM events WHERE case_number = $1", [asked["rare"]]),
        "newest": (f"SELECT * FROM events WHERE method = $1 ORDER BY timestamp DESC LIMIT {newest}", [asked["frequent"]]),
        "counts": ("SELECT path, ledger, outcome, count(*) FROM events GROUP BY ALL", []),
        "contains_first": (contains + " LIMIT 1", [text]),
        "contains_all": (contains, [text]),
    }


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        asked = json.load(file)
    database = duckdb.connect()
    write_s = write_parquet(database, asked["export"], asked["parquet"])
    database.execute("SET threads = 1")
    answers = {}

    def ask(question, query, values):
        begin = time.perf_counter()
        rows = database.execute(query, values).fetchall()
        taken_ms = (time.perf_counter() - begin) * 1e3
        answer = answers.setdefault(question, {"ms": []})
        answer["ms"].append(taken_ms)
        answer["hits"] = sum(row[-1] for row in rows) if question == "counts" else len(rows)

    for decision_id in asked["ids"]:
        ask("show", "SELECT * FROM events WHERE decision_id = $1", [decision_id])
    for _ in range(asked["rounds"]):
        for question, (query, values) in questions_of(asked).items():
            ask(question, query, values)
    print(
        json.dumps(
            {
                "version": duckdb.__version__,
                "write_s": write_s,
                "parquet_bytes": os.path.getsize(asked["parquet"]),
                "records": database.execute("SELECT count(*) FROM events").fetchone()[0],
                "questions": answers,
            }
        )
    )


if __name__ == "__main__":
    main()
