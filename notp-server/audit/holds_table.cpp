#include "notp-server/audit/holds_table.hpp"

#include "common/limits.hpp"
#include "common/storage/sqlite_values.hpp"

namespace notp::audit {
namespace {

constexpr char kFilterVersion = 1;

void put_text(Bytes& out, ByteView text) {
  put_varint(out, text.size());
  out += text;
}

std::unexpected<Error> damaged() {
  return fail(ErrorCode::kCorrupt,
              "the filter of a hold in logs.db is damaged: restore the file from a backup");
}

// Takes the parts of a filter; the first one that is not there ends it.
class FilterReader {
 public:
  explicit FilterReader(ByteView in) : in_(in) {}
  uint64_t number() {
    const auto value = take_varint(in_);
    is_good_ = is_good_ && value.has_value();
    return is_good_ ? *value : 0;
  }
  std::string text() {
    const uint64_t size = number();
    const auto bytes = take_bytes(in_, size);
    is_good_ = is_good_ && bytes.has_value();
    return is_good_ ? std::string(*bytes) : std::string();
  }
  bool ends_well() const { return is_good_ && in_.empty(); }
  bool is_good() const { return is_good_; }

 private:
  ByteView in_;
  bool is_good_ = true;
};

}  // namespace

Bytes encode_filter(const wire::DecisionFilter& filter) {
  Bytes out(1, kFilterVersion);
  put_varint(out, static_cast<uint64_t>(filter.since_ms));
  put_varint(out, static_cast<uint64_t>(filter.until_ms));
  put_varint(out, static_cast<uint64_t>(filter.outcome));
  for (const std::string* text :
       {&filter.node, &filter.ledger, &filter.path, &filter.contains, &filter.decision_id})
    put_text(out, *text);
  put_text(out, filter.release_hash.is_zero() ? ByteView() : filter.release_hash.view());
  put_varint(out, filter.values.size());
  for (const std::string& value : filter.values) put_text(out, value);
  put_varint(out, filter.kinds.size());
  for (const record::Kind kind : filter.kinds) put_varint(out, static_cast<uint64_t>(kind));
  return out;
}

Result<wire::DecisionFilter> decode_filter(ByteView bytes) {
  if (bytes.empty() || bytes.front() != kFilterVersion) return damaged();
  FilterReader in(bytes.substr(1));
  wire::DecisionFilter out;
  out.since_ms = static_cast<TimeMs>(in.number());
  out.until_ms = static_cast<TimeMs>(in.number());
  const uint64_t outcome = in.number();
  if (outcome >= record::kOutcomes) return damaged();
  out.outcome = static_cast<record::Outcome>(outcome);
  for (std::string* text : {&out.node, &out.ledger, &out.path, &out.contains, &out.decision_id})
    *text = in.text();
  if (const std::string hash = in.text(); !hash.empty()) {
    const auto read = Hash::from_bytes(hash);
    if (!read) return damaged();
    out.release_hash = *read;
  }
  const uint64_t values = in.number();
  for (uint64_t i = 0; i < values && in.is_good(); ++i) out.values.push_back(in.text());
  const uint64_t kinds = in.number();
  for (uint64_t i = 0; i < kinds && in.is_good(); ++i) {
    const uint64_t kind = in.number();
    if (kind > static_cast<uint64_t>(record::Kind::kDropped)) return damaged();
    out.kinds.push_back(static_cast<record::Kind>(kind));
  }
  if (!in.ends_well()) return damaged();
  return out;
}

Result<std::vector<wire::Hold>> HoldsTable::all() const {
  Result<std::vector<wire::Hold>> out;
  NOTP_TRY(logs_.use("cannot read the holds", [&](SQLite::Database& database) {
    SQLite::Statement rows(
        database,
        "SELECT id, filter, reason, by, placed_ms, lifted_ms, leaf FROM holds ORDER BY id");
    while (rows.executeStep()) {
      auto filter = decode_filter(blob_of(rows.getColumn(1)));
      if (!filter) {
        out = std::unexpected(filter.error());
        return;
      }
      out->push_back({.id = rows.getColumn(0).getString(),
                      .filter = *std::move(filter),
                      .reason = rows.getColumn(2).getString(),
                      .by = rows.getColumn(3).getString(),
                      .placed_ms = rows.getColumn(4).getInt64(),
                      .lifted_ms = rows.getColumn(5).getInt64(),
                      .index = static_cast<uint64_t>(rows.getColumn(6).getInt64())});
    }
  }));
  return out;
}

Result<void> HoldsTable::put(const wire::Hold& hold) const {
  return logs_.use("cannot store a hold", [&](SQLite::Database& database) {
    SQLite::Transaction transaction(database);
    SQLite::Statement put(database, "INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?)");
    put.bind(1, hold.id);
    bind_blob(put, 2, encode_filter(hold.filter));
    put.bind(3, hold.reason);
    put.bind(4, hold.by);
    put.bind(5, hold.placed_ms);
    put.bind(6, hold.lifted_ms);
    put.bind(7, static_cast<int64_t>(hold.index));
    put.exec();
    // The newest of those that were lifted stay for those who ask.
    SQLite::Statement old(database,
                          "DELETE FROM holds WHERE id IN (SELECT id FROM holds WHERE lifted_ms <> "
                          "0 ORDER BY lifted_ms DESC LIMIT -1 OFFSET ?)");
    old.bind(1, static_cast<int64_t>(limits::kHoldsMax));
    old.exec();
    transaction.commit();
  });
}

Result<void> HoldsTable::remove(const std::string& id) const {
  return logs_.use("cannot remove a hold", [&](SQLite::Database& database) {
    SQLite::Statement remove(database, "DELETE FROM holds WHERE id = ?");
    remove.bind(1, id);
    remove.exec();
  });
}

Result<std::vector<HoldsTable::Begun>> HoldsTable::begun() const {
  Result<std::vector<Begun>> out;
  NOTP_TRY(logs_.use("cannot read the removals", [&](SQLite::Database& database) {
    SQLite::Statement rows(database, "SELECT id, entry FROM removals ORDER BY id");
    while (rows.executeStep()) {
      auto entry = record::decode_tree_entry(blob_of(rows.getColumn(1)));
      if (!entry) {
        out =
            fail(ErrorCode::kCorrupt, "a removal in logs.db is damaged: " + entry.error().message);
        return;
      }
      out->push_back({rows.getColumn(0).getInt64(), *std::move(entry)});
    }
  }));
  return out;
}

Result<int64_t> HoldsTable::begin(const std::vector<record::TreeEntry>& entries) const {
  int64_t first = 0;
  NOTP_TRY(logs_.use("cannot note removals", [&](SQLite::Database& database) {
    SQLite::Transaction transaction(database);
    first = database.execAndGet("SELECT coalesce(max(id), 0) + 1 FROM removals").getInt64();
    SQLite::Statement put(database, "INSERT INTO removals VALUES (?, ?)");
    for (size_t i = 0; i < entries.size(); ++i) {
      put.reset();
      put.bind(1, first + static_cast<int64_t>(i));
      bind_blob(put, 2, record::encode(entries[i]));
      put.exec();
    }
    transaction.commit();
  }));
  return first;
}

Result<void> HoldsTable::end(int64_t first, size_t count) const {
  return logs_.use("cannot end removals", [&](SQLite::Database& database) {
    SQLite::Statement done(database, "DELETE FROM removals WHERE id >= ? AND id < ?");
    done.bind(1, first);
    done.bind(2, first + static_cast<int64_t>(count));
    done.exec();
  });
}

}  // namespace notp::audit
