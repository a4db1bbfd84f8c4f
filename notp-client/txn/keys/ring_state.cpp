#include "notp-client/txn/keys/ring_state.hpp"

#include <algorithm>
#include <array>

#include "common/base64url.hpp"
#include "common/jose/algorithm.hpp"
#include "common/json/json.hpp"

namespace notp::txn {
namespace {

constexpr int kFormat = 1;
constexpr size_t kThumbprintBytes = 43;  // SHA-256 in base64url
constexpr std::array kStates = {KeyState::kPrepared, KeyState::kPublished, KeyState::kInUse,
                                KeyState::kRetired};

std::unexpected<Error> corrupt(std::string_view what) {
  return fail(ErrorCode::kCorrupt, "the records of the service's keys: " + std::string(what));
}

bool is_kid(std::string_view kid) {
  return kid.size() == kThumbprintBytes && from_base64url(kid).has_value();
}

Result<TimeMs> time_of(const json::object& key, std::string_view name) {
  const json::value* const value = key.if_contains(name);
  if (!value || !value->is_int64() || value->get_int64() < 0) return corrupt("a bad time");
  return value->get_int64();
}

std::string_view text_of(const json::object& key, std::string_view name) {
  const json::value* const value = key.if_contains(name);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

Result<KeyRecord> record_of(const json::value& value) {
  const json::object* const key = value.if_object();
  if (!key) return corrupt("a key is not an object");
  KeyRecord out{.kid = std::string(text_of(*key, "kid")), .alg = std::string(text_of(*key, "alg"))};
  // The kid is the name of a file.
  if (!is_kid(out.kid)) return corrupt("a kid is not a thumbprint");
  if (!jose::algorithm_of(out.alg)) return corrupt("an unknown algorithm");
  const auto state = std::ranges::find(kStates, text_of(*key, "state"), key_state_name);
  if (state == kStates.end()) return corrupt("an unknown state");
  out.state = *state;
  NOTP_ASSIGN(out.made_ms, time_of(*key, "made_ms"));
  NOTP_ASSIGN(out.used_ms, time_of(*key, "used_ms"));
  NOTP_ASSIGN(out.retired_ms, time_of(*key, "retired_ms"));
  return out;
}

}  // namespace

std::string encode_records(const std::vector<KeyRecord>& records) {
  json::array keys;
  for (const KeyRecord& record : records)
    keys.push_back(json::object{{"kid", record.kid},
                                {"alg", record.alg},
                                {"state", key_state_name(record.state)},
                                {"made_ms", record.made_ms},
                                {"used_ms", record.used_ms},
                                {"retired_ms", record.retired_ms}});
  return json::serialize(json::object{{"format", kFormat}, {"keys", std::move(keys)}});
}

Result<std::vector<KeyRecord>> decode_records(std::string_view text) {
  const auto document = parse_json(text);
  const json::object* const object = document ? document->if_object() : nullptr;
  const json::value* const format = object ? object->if_contains("format") : nullptr;
  const json::value* const keys = object ? object->if_contains("keys") : nullptr;
  if (!format || *format != kFormat) return corrupt("not of a format that this program reads");
  if (!keys || !keys->is_array() || keys->get_array().size() > limits::kRingKeysMax)
    return corrupt("there are no keys, or too many");
  std::vector<KeyRecord> out;
  for (const json::value& each : keys->get_array()) {
    NOTP_ASSIGN(KeyRecord record, record_of(each));
    const bool is_twice = std::ranges::find(out, record.kid, &KeyRecord::kid) != out.end();
    if (is_twice) return corrupt("a key twice");
    out.push_back(std::move(record));
  }
  return out;
}

}  // namespace notp::txn
