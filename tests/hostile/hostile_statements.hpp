// Tables of statements that must be refused: each row has the expected code and check.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "protocol/trust/verify.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace notp::hostile {

using Keys = std::initializer_list<uint8_t>;

enum class Kind : uint8_t { kRoot, kFreshness, kRelease };
inline constexpr Kind kKinds[] = {Kind::kRoot, Kind::kFreshness, Kind::kRelease};

// A minute after everything was issued.
inline constexpr TimeMs kNow = samples::kIssuedMs + 60'000;

// The node under attack: trusts root 3 of epoch 2 (two of the keys 1, 11 and 12; payments is
// published by two of 2, 3 and 4, orders by 5 alone; 7 signs freshness), accepted freshness
// statement 100, holds release 5 of payments and has seen release 6 listed.
trust::Trusted holder();

trust::Release held_release();
// Statements that it accepts: root 4, freshness statement 101, and release 6, each correctly
// signed.
trust::Root good_root();
trust::Freshness good_freshness();
trust::Release good_release();
trust::Envelope good(Kind kind);

struct Row {
  std::string what;
  Kind kind;
  Bytes envelope;
  ErrorCode code;
  std::string_view check;  // the one that must fail
  trust::Trusted trusted = holder();
  TimeMs now_ms = kNow;
};

// Signatures, keys and thresholds.
std::vector<Row> signature_rows();
// One statement in the place of another: another type, domain, zone, ledger or reader.
std::vector<Row> replay_rows();
// Versions, epochs, sequences, floors and listed heads.
std::vector<Row> order_rows();
// Expiry, clocks that are years off, roots that removed keys.
std::vector<Row> time_rows();
// Encodings: envelopes and statements that are not in their only valid encoding, or break one of
// its rules.
std::vector<Row> form_rows();

}  // namespace notp::hostile
