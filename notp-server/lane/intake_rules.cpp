#include "notp-server/lane/intake_rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "notp-server/lane/lane_limits.hpp"
#include "protocol/feed/feed_limits.hpp"
#include "protocol/wire/lane_limits.hpp"

namespace notp::lane {
namespace {

using feed::Event;
using feed::EventKey;
using feed::EventKind;

constexpr int64_t kMarkAheadS = limits::kMarkAheadMsMax / 1000;

Ruling refuse(ErrorCode code, std::string why) {
  return {.refused = Error{code, std::move(why), {}}, .row = {}};
}

std::unexpected<Error> bad(std::string_view name, std::string_view type) {
  return fail(ErrorCode::kMessage, fmt::format("{} of a token is not {}", name, type));
}

Result<std::string> text(const json::object& in, std::string_view name) {
  const json::value* const value = in.if_contains(name);
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_string()) return bad(name, "a text");
  return std::string(value->get_string());
}

// A text, or a list of them (RFC 7519 §4.1.3).
Result<std::vector<std::string>> texts(const json::object& in, std::string_view name) {
  const json::value* const value = in.if_contains(name);
  std::vector<std::string> out;
  if (value == nullptr || value->is_null()) return out;
  if (value->is_string()) return std::vector<std::string>{std::string(value->get_string())};
  if (!value->is_array()) return bad(name, "a list of texts");
  for (const json::value& entry : value->get_array()) {
    if (!entry.is_string()) return bad(name, "a list of texts");
    out.emplace_back(entry.get_string());
  }
  return out;
}

// A NumericDate (RFC 7519 §2), in whole seconds.
Result<int64_t> time(const json::object& in, std::string_view name) {
  const json::value* const value = in.if_contains(name);
  if (value == nullptr || value->is_null()) return 0;
  double seconds = 0;
  if (value->is_int64())
    seconds = static_cast<double>(value->get_int64());
  else if (value->is_uint64())
    seconds = static_cast<double>(value->get_uint64());
  else if (value->is_double())
    seconds = std::floor(value->get_double());
  else
    return bad(name, "a time in seconds");
  if (!(seconds >= 0 && seconds <= static_cast<double>(feed::kAnyIssueTime)))
    return bad(name, "a time in seconds");
  return static_cast<int64_t>(seconds);
}

// A list of scopes is a text here as well.
Result<std::string> scope(const json::object& in) {
  const json::value* const value = in.if_contains("scope");
  if (value == nullptr || !value->is_array()) return text(in, "scope");
  NOTP_ASSIGN(const auto scopes, texts(in, "scope"));
  return fmt::format("{}", fmt::join(scopes, " "));
}

Result<std::string> confirmation(const json::object& in) {
  const json::value* const value = in.if_contains("cnf");
  if (value == nullptr || value->is_null()) return std::string();
  if (!value->is_object()) return bad("cnf", "an object");
  return json::serialize(*value);
}

feed::TokenId list_id(std::string_view uri) { return feed::token_id(uri); }

// What an event that ends at `end_s` says to nodes, and when its row may go.
Row make_row(Event event, int64_t now_s, int64_t remove_s) {
  return {.event = std::move(event),
          .revision = 0,
          .at_s = now_s,
          .remove_s = remove_s,
          .replaced = false,
          .source = {}};
}

}  // namespace

Result<feed::TokenRecord> read_record(const json::object& attributes, const Attributes& allowed,
                                      int64_t default_exp_s) {
  feed::TokenRecord out;
  NOTP_ASSIGN(out.exp_s, time(attributes, "exp"));
  if (out.exp_s == 0) out.exp_s = default_exp_s;
  if (out.exp_s == 0) return fail(ErrorCode::kMessage, "a token has no exp");
  NOTP_ASSIGN(out.iss, text(attributes, "iss"));
  NOTP_ASSIGN(out.sub, text(attributes, "sub"));
  NOTP_ASSIGN(out.client, text(attributes, "client"));
  if (out.client.empty()) {
    NOTP_ASSIGN(out.client, text(attributes, "client_id"));
  }
  NOTP_ASSIGN(out.scope, scope(attributes));
  NOTP_ASSIGN(out.aud, texts(attributes, "aud"));
  NOTP_ASSIGN(out.iat_s, time(attributes, "iat"));
  NOTP_ASSIGN(out.acr, text(attributes, "acr"));
  NOTP_ASSIGN(out.amr, texts(attributes, "amr"));
  NOTP_ASSIGN(out.auth_time_s, time(attributes, "auth_time"));
  NOTP_ASSIGN(out.sid, text(attributes, "sid"));
  NOTP_ASSIGN(out.cnf, confirmation(attributes));
  return allowed.project(std::move(out));
}

Result<Ruling> IntakeRules::apply(const std::string& source, const IncomingEvent& event,
                                  int64_t now_s, EventStore& store) const {
  if (event.key.size() > kSourceKeyBytesMax)
    return refuse(ErrorCode::kMessage,
                  fmt::format("the key of an event has more than {} bytes", kSourceKeyBytesMax));
  NOTP_ASSIGN(Ruling ruling,
              std::visit([&](const auto& what) { return on(what, now_s, store); }, event.what));
  if (ruling.refused) return ruling;
  // What was refused may come again under its key: the lane may have room then.
  if (!event.key.empty()) {
    NOTP_ASSIGN(const bool is_first, store.note_key(source, event.key, now_s));
    if (!is_first) return Ruling();
  }
  if (!ruling.row) return ruling;
  if (const auto checked = ruling.row->event.check(); !checked)
    return Ruling{.refused = checked.error(), .row = {}};
  ruling.row->revision = store.state().head + 1;
  ruling.row->source = source;
  NOTP_TRY(store.put(*ruling.row));
  if (ruling.row->event.kind == EventKind::kDeleted)
    NOTP_TRY(store.erase({EventKind::kToken, ruling.row->event.id}));
  return ruling;
}

Result<Ruling> IntakeRules::on(const TokenAdded& added, int64_t now_s, EventStore& store) const {
  auto record = read_record(added.attributes, terms_.attributes, now_s + terms_.life_max_s);
  if (!record) return Ruling{.refused = record.error(), .row = {}};
  if (record->exp_s > now_s + terms_.life_max_s + kEndSkewS)
    return refuse(ErrorCode::kMessage,
                  fmt::format("exp of a token is {} s from now, and life_max of the lane is {} s",
                              record->exp_s - now_s, terms_.life_max_s));
  Row row = make_row(Event::token(added.id, *std::move(record)), now_s, 0);
  if (auto checked = row.event.check(); !checked)
    return Ruling{.refused = checked.error(), .row = {}};
  NOTP_ASSIGN(const auto tombstone, store.find({EventKind::kDeleted, added.id}));
  if (tombstone) return Ruling();  // the delete wins, in whatever order the two come
  NOTP_ASSIGN(const auto before, store.find({EventKind::kToken, added.id}));
  if (before && before->event == row.event) return Ruling();
  const int64_t exp_s = row.event.record.exp_s;
  if (!before) {
    if (exp_s <= now_s) return Ruling();
    if (store.state().tokens >= terms_.tokens_max)
      return refuse(ErrorCode::kLimit,
                    fmt::format("the lane has {} tokens, its tokens_max", terms_.tokens_max));
    row.remove_s = exp_s + kEndSkewS;
    return Ruling{.refused = {}, .row = std::move(row)};
  }
  row.replaced = true;
  row.remove_s = std::max({exp_s + kEndSkewS, before->remove_s, now_s + kHistoryS});
  return Ruling{.refused = {}, .row = std::move(row)};
}

Result<Ruling> IntakeRules::on(const TokenDeleted& deleted, int64_t now_s,
                               EventStore& store) const {
  // A source that errs about exp keeps a tombstone no longer than a token lives.
  const int64_t latest_s = now_s + terms_.life_max_s + kEndSkewS;
  NOTP_ASSIGN(const auto token, store.find({EventKind::kToken, deleted.id}));
  NOTP_ASSIGN(const auto before, store.find({EventKind::kDeleted, deleted.id}));
  int64_t until_s = deleted.exp_s == 0 ? 0 : std::min(deleted.exp_s + kEndSkewS, latest_s);
  if (token) until_s = std::max(until_s, token->remove_s);
  if (until_s == 0) until_s = latest_s;
  if (before && before->event.until_s >= until_s) return Ruling();
  // Unknown again: the first of the two has said it as well.
  if (before && deleted.exp_s == 0 && !token) return Ruling();
  until_s = std::max(until_s, now_s + kHistoryS);
  if (!before && store.state().deleted >= kTombstonesMax)
    return refuse(
        ErrorCode::kLimit,
        fmt::format("the lane has {} deleted tokens, the most that are kept", kTombstonesMax));
  return Ruling{.refused = {},
                .row = make_row(Event::deleted(deleted.id, until_s), now_s, until_s)};
}

Result<Ruling> IntakeRules::on(const Revoked& revoked, int64_t now_s, EventStore& store) const {
  for (const std::string* part : {&revoked.issuer, &revoked.value})
    if (part->empty() || part->size() > limits::kMarkTextBytesMax)
      return refuse(ErrorCode::kMessage,
                    fmt::format("the issuer, or the {} that is revoked, is empty or has more than "
                                "{} bytes",
                                feed::mark_kind_name(revoked.kind), limits::kMarkTextBytesMax));
  // A subject goes on: without a time it would be locked out for as long as a token lives.
  const bool is_any =
      revoked.not_before_s == feed::kAnyIssueTime && revoked.kind != feed::MarkKind::kSubject;
  if (!is_any && revoked.not_before_s > now_s + kMarkAheadS)
    return refuse(ErrorCode::kMessage,
                  fmt::format("a revocation is for what is issued up to {} s from now: more than "
                              "{} s ahead would lock out what is not issued yet",
                              revoked.not_before_s - now_s, kMarkAheadS));
  if (revoked.not_before_s <= 0)
    return refuse(ErrorCode::kMessage, "a revocation has no time up to which it counts");
  const feed::TokenId key = feed::mark_key(revoked.kind, revoked.issuer, revoked.value);
  NOTP_ASSIGN(const auto before, store.find({EventKind::kMark, key}));
  const int64_t not_before_s =
      std::max(revoked.not_before_s, before ? before->event.not_before_s : 0);
  const int64_t last_issue_s = is_any ? now_s : std::min(revoked.not_before_s, now_s + kMarkAheadS);
  int64_t until_s = last_issue_s + terms_.life_max_s + kEndSkewS;
  if (until_s <= now_s) return Ruling();  // all that it is about has ended
  if (before) until_s = std::max(until_s, before->event.until_s);
  if (before && before->event.not_before_s == not_before_s && before->event.until_s == until_s)
    return Ruling();
  if (!before && store.state().marks >= kMarksMax)
    return refuse(ErrorCode::kLimit,
                  fmt::format("the lane has {} revocations of subjects and sessions, the most that "
                              "are kept",
                              kMarksMax));
  return Ruling{.refused = {},
                .row = make_row(Event::mark(key, not_before_s, until_s), now_s,
                                std::max(until_s, now_s + kHistoryS))};
}

Result<Ruling> IntakeRules::on(const ListFetched& list, int64_t now_s, EventStore& store) const {
  Row row = make_row(Event::status_list(list_id(list.uri), list.bits, list.zlib, list.until_s),
                     now_s, std::max(list.until_s, now_s) + kHistoryS);
  if (auto checked = row.event.check(); !checked)
    return Ruling{.refused = checked.error(), .row = {}};
  NOTP_ASSIGN(const auto before, store.find(key_of(row.event)));
  if (before && before->event == row.event) return Ruling();
  if (!before && store.state().lists >= limits::kStatusListsMax)
    return refuse(ErrorCode::kLimit, fmt::format("the lane has {} status lists, the most that are "
                                                 "kept",
                                                 limits::kStatusListsMax));
  return Ruling{.refused = {}, .row = std::move(row)};
}

}  // namespace notp::lane
