// Columns and checksums that the tables of SqliteStore share.
#pragma once

#include "common/crypto/digest.hpp"
#include "notp-client/store/columns.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::store {

inline void put_text(Bytes& out, ByteView text) {
  put_varint(out, text.size());
  out.append(text);
}

// Detects damage, not an attacker, who could compute it as well.
inline Bytes checksum(std::string_view table, const Bytes& row) {
  Sha256 sum;
  sum.update("notp.store.v1\0").update(table).update(row);
  return Bytes(sum.finish().view().substr(0, 16));
}

inline Bytes place_check(std::string_view table, const model::LedgerId& ledger,
                         const trust::Floor& place) {
  Bytes row;
  put_text(row, ledger.text());
  put_varint(row, place.epoch);
  put_varint(row, place.version);
  row.append(place.release_hash.view());
  return checksum(table, row);
}

inline Hash hash_column(const SQLite::Column& column) {
  return Hash::from_bytes(view(column)).value_or(Hash{});
}

inline uint64_t number(const SQLite::Column& column) {
  return static_cast<uint64_t>(column.getInt64());
}

// The last install of a file row that the newest installation still has.
inline constexpr int64_t kOpenRange = INT64_MAX;

inline constexpr const char* kDamagedTrust =
    "is damaged; nothing stored can be trusted: move the data folder away and let the agent fetch "
    "again";

}  // namespace notp::store
