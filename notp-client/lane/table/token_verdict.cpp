#include "notp-client/lane/table/token_verdict.hpp"

#include <array>
#include <cmath>
#include <limits>

namespace notp::lane {
namespace {

using feed::MarkKind;
using State = TokenVerdict::State;

constexpr TimeMs kMsPerSecond = 1'000;
// Where doubles, by which fractions are read, skip whole numbers.
constexpr int64_t kWholeMax = 1LL << 53;
constexpr std::array<MarkKind, 4> kMarks = {MarkKind::kSubject, MarkKind::kSession,
                                            MarkKind::kTokenNumber, MarkKind::kTransaction};

// Whether there is a lane whose content counts.
bool answers(const LaneReadout& lane, TimeMs trusted_ms) {
  if (!lane.is_complete) return false;
  if (lane.serves) return true;
  const TimeMs age_ms = std::max<TimeMs>(0, trusted_ms - lane.heard_ms);
  return lane.heard_ms != 0 && static_cast<uint64_t>(age_ms) <= lane.hard_s * kMsPerSecond;
}

const json::value* member(const json::object& object, std::string_view name) {
  return object.if_contains(name);
}

std::optional<std::string_view> text(const json::object& object, std::string_view name) {
  const json::value* const value = member(object, name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string_view(value->get_string());
}

// The whole seconds of a time, as a mark has them; nullopt: it is not a number, or not a time.
std::optional<int64_t> seconds(const json::value* value) {
  if (value == nullptr) return std::nullopt;
  if (const auto* whole = value->if_int64())
    return *whole > kWholeMax ? std::nullopt : std::optional(*whole);
  const auto* fraction = value->if_double();
  if (fraction == nullptr || std::abs(*fraction) > static_cast<double>(kWholeMax))
    return std::nullopt;
  return static_cast<int64_t>(std::floor(*fraction));
}

// `issued_s`: nullopt: unknown, so that any mark revokes it.
bool is_marked(const TokenTable& table, MarkKind kind, std::string_view issuer,
               std::string_view value, std::optional<int64_t> issued_s) {
  const auto mark = table.mark(feed::mark_key(kind, issuer, value));
  return mark && (!issued_s || *issued_s <= *mark);
}

std::optional<uint64_t> index_of(const json::value* value) {
  if (value == nullptr) return std::nullopt;
  if (const auto* whole = value->if_uint64()) return *whole;
  if (const auto* whole = value->if_int64())
    return *whole < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(*whole));
  const auto* fraction = value->if_double();
  if (fraction == nullptr || *fraction < 0 || *fraction > static_cast<double>(kWholeMax) ||
      *fraction != std::floor(*fraction))
    return std::nullopt;
  return static_cast<uint64_t>(*fraction);
}

// Anything but VALID of draft-ietf-oauth-status-list §7.1.
bool is_revoked_by(const TokenTable& table, const json::value& reference, int64_t now_s) {
  const json::object* const object = reference.if_object();
  const auto uri = object ? text(*object, "uri") : std::nullopt;
  const auto index = object ? index_of(member(*object, "idx")) : std::nullopt;
  if (!uri || !index) return true;
  const auto list = table.list(feed::token_id(*uri));
  if (!list || list->until_s <= now_s) return true;
  constexpr unsigned kBitsPerByte = 8;
  const uint64_t each = kBitsPerByte / list->bits;
  if (*index / each >= list->statuses.size()) return true;
  const auto byte = static_cast<uint8_t>(list->statuses[*index / each]);
  const unsigned shift = static_cast<unsigned>(*index % each) * list->bits;
  return ((byte >> shift) & ((1U << list->bits) - 1)) != 0;
}

bool are_revoked(const TokenTable& table, const json::object& claims, int64_t now_s) {
  if (const auto issuer = text(claims, "iss")) {
    const auto issued_s = seconds(member(claims, "iat"));
    for (const MarkKind kind : kMarks)
      if (const auto value = text(claims, feed::mark_kind_name(kind));
          value && is_marked(table, kind, *issuer, *value, issued_s))
        return true;
  }
  const json::value* const status = member(claims, "status");
  if (status == nullptr || !status->is_object()) return false;
  const json::value* const reference = member(status->get_object(), "status_list");
  return reference != nullptr && is_revoked_by(table, *reference, now_s);
}

bool is_revoked(const TokenTable& table, const feed::TokenRecord& record) {
  const auto issued_s = record.iat_s != 0 ? std::optional(record.iat_s) : std::nullopt;
  const auto marked = [&](MarkKind kind, const std::string& value) {
    return !record.iss.empty() && !value.empty() &&
           is_marked(table, kind, record.iss, value, issued_s);
  };
  return marked(MarkKind::kSubject, record.sub) || marked(MarkKind::kSession, record.sid);
}

}  // namespace

TokenVerdict judge(const TokenTable& table, const TokenQuestion& question, TimeMs trusted_ms) {
  if (!answers(table.readout(), trusted_ms)) return {};
  const int64_t now_s = trusted_ms / kMsPerSecond;
  TokenVerdict out{.state = State::kRevoked, .record = std::nullopt};
  if (are_revoked(table, question.claims, now_s)) return out;
  if (question.token) {
    if (table.is_deleted(*question.token)) return out;
    out.record = table.find(*question.token);
    if (out.record && out.record->exp_s <= now_s) out.record.reset();
    if (out.record && is_revoked(table, *out.record))
      return {.state = State::kRevoked, .record = {}};
  }
  out.state = State::kGood;
  return out;
}

}  // namespace notp::lane
