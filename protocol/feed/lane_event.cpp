#include "protocol/feed/lane_event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ranges>
#include <utility>

#include "common/json/json.hpp"
#include "protocol/feed/feed_limits.hpp"
#include "protocol/feed/lane_codec.hpp"
#include "protocol/trust/proto_codec.hpp"

namespace notp::feed {
namespace {

std::unexpected<Error> refuse(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("an event of a lane: {}", why));
}

bool is_time(int64_t time_s) { return time_s >= 0 && time_s <= kAnyIssueTime; }

Result<void> check_text(std::string_view name, std::string_view text) {
  if (text.size() > limits::kTokenAttributeBytesMax)
    return refuse(fmt::format("{} has more than {} bytes", name, limits::kTokenAttributeBytesMax));
  if (!is_utf8(text)) return refuse(fmt::format("{} is not UTF-8", name));
  return {};
}

Result<void> check_texts(std::string_view name, const std::vector<std::string>& texts) {
  if (texts.size() > limits::kTokenListMax)
    return refuse(fmt::format("{} has more than {} entries", name, limits::kTokenListMax));
  for (const std::string& text : texts) {
    if (text.empty()) return refuse(fmt::format("an entry of {} is empty", name));
    NOTP_TRY(check_text(name, text));
  }
  return {};
}

Result<void> check_confirmation(std::string_view cnf) {
  if (cnf.empty()) return {};
  const auto value = parse_json(cnf);
  if (!value || !value->is_object()) return refuse("cnf is not a JSON object");
  return {};
}

Result<void> check_record(const TokenRecord& record) {
  const std::pair<std::string_view, std::string_view> texts[] = {
      {"iss", record.iss}, {"sub", record.sub}, {"client", record.client}, {"scope", record.scope},
      {"acr", record.acr}, {"sid", record.sid}, {"cnf", record.cnf}};
  for (const auto& [name, text] : texts) NOTP_TRY(check_text(name, text));
  NOTP_TRY(check_texts("aud", record.aud));
  NOTP_TRY(check_texts("amr", record.amr));
  NOTP_TRY(check_confirmation(record.cnf));
  if (record.exp_s == 0) return refuse("exp is missing");
  if (!is_time(record.exp_s) || !is_time(record.iat_s) || !is_time(record.auth_time_s))
    return refuse("a time of the token is out of range");
  if (encode_record(record).size() > limits::kTokenRecordBytesMax)
    return refuse(
        fmt::format("the attributes take more than {} bytes", limits::kTokenRecordBytesMax));
  return {};
}

Result<void> check_list(const Event& event) {
  if (event.bits != 1 && event.bits != 2 && event.bits != 4 && event.bits != 8)
    return refuse("a status list has 1, 2, 4 or 8 bits for each token");
  if (event.list.empty() || event.list.size() > limits::kStatusListBytesMax)
    return refuse(fmt::format("a status list is empty, or has more than {} bytes",
                              limits::kStatusListBytesMax));
  return {};
}

void put(lane::v1::TokenRecord& out, const TokenRecord& record) {
  out.set_iss(record.iss);
  out.set_sub(record.sub);
  out.set_client(record.client);
  out.set_scope(record.scope);
  for (const std::string& audience : record.aud) out.add_aud(audience);
  out.set_exp(record.exp_s);
  out.set_iat(record.iat_s);
  out.set_acr(record.acr);
  for (const std::string& method : record.amr) out.add_amr(method);
  out.set_auth_time(record.auth_time_s);
  out.set_sid(record.sid);
  out.set_cnf(record.cnf);
}

TokenRecord take(const lane::v1::TokenRecord& in) {
  return {.iss = in.iss(),
          .sub = in.sub(),
          .client = in.client(),
          .scope = in.scope(),
          .aud = {in.aud().begin(), in.aud().end()},
          .exp_s = in.exp(),
          .iat_s = in.iat(),
          .acr = in.acr(),
          .amr = {in.amr().begin(), in.amr().end()},
          .auth_time_s = in.auth_time(),
          .sid = in.sid(),
          .cnf = in.cnf()};
}

bool is_kind(int value) {
  return value >= static_cast<int>(EventKind::kMark) &&
         value <= static_cast<int>(EventKind::kToken);
}

}  // namespace

Event Event::token(const TokenId& id, TokenRecord record) {
  Event event{.kind = EventKind::kToken, .id = id};
  event.record = std::move(record);
  return event;
}

Event Event::deleted(const TokenId& id, int64_t until_s) {
  return {.kind = EventKind::kDeleted, .id = id, .until_s = until_s};
}

Event Event::mark(const TokenId& key, int64_t not_before_s, int64_t until_s) {
  return {.kind = EventKind::kMark, .id = key, .not_before_s = not_before_s, .until_s = until_s};
}

Event Event::status_list(const TokenId& key, uint32_t bits, Bytes list, int64_t until_s) {
  Event event{.kind = EventKind::kList, .id = key, .until_s = until_s};
  event.bits = bits;
  event.list = std::move(list);
  return event;
}

Result<void> Event::check() const {
  const bool is_token = kind == EventKind::kToken, is_list = kind == EventKind::kList;
  if (!is_token && record != TokenRecord{}) return refuse("only a token has attributes");
  if (!is_list && (bits != 0 || !list.empty())) return refuse("only a status list has bits");
  if (kind != EventKind::kMark && not_before_s != 0) return refuse("only a mark has not_before");
  if (!is_time(not_before_s) || !is_time(until_s)) return refuse("a time is out of range");
  if (is_token != (until_s == 0)) return refuse("exactly what is not a token has until");
  if (is_token) return check_record(record);
  return is_list ? check_list(*this) : Result<void>();
}

Result<EventKey> EventKey::from_bytes(ByteView view) {
  if (view.size() != kSize || !is_kind(view[0]))
    return refuse("a key is not a known kind and an id");
  EventKey key{static_cast<EventKind>(view[0]), {}};
  NOTP_ASSIGN(key.id, TokenId::from_bytes(view.substr(1)));
  return key;
}

Bytes EventKey::bytes() const {
  Bytes out(1, static_cast<char>(kind));
  return out.append(id.view());
}

Bytes encode_record(const TokenRecord& record) {
  lane::v1::TokenRecord message;
  put(message, record);
  return trust::serialize(message);
}

Result<TokenRecord> decode_record(ByteView bytes) {
  lane::v1::TokenRecord message;
  if (!trust::parse(bytes, message, limits::kTokenRecordBytesMax))
    return refuse("the attributes do not decode");
  TokenRecord record = take(message);
  NOTP_TRY(check_record(record));
  return record;
}

void put(lane::v1::Event& out, const Event& event) {
  out.set_kind(static_cast<lane::v1::Kind>(event.kind));
  out.set_id(Bytes(event.id.view()));
  out.set_not_before(event.not_before_s);
  out.set_until(event.until_s);
  if (event.kind == EventKind::kToken) put(*out.mutable_record(), event.record);
  out.set_bits(event.bits);
  out.set_list(event.list);
}

Result<Event> take(const lane::v1::Event& in) {
  if (!is_kind(in.kind()))
    return refuse(fmt::format("kind {}, which this program does not know; update it",
                              static_cast<int>(in.kind())));
  Event event{.kind = static_cast<EventKind>(in.kind()),
              .id = {},
              .not_before_s = in.not_before(),
              .until_s = in.until()};
  NOTP_ASSIGN(event.id, TokenId::from_bytes(in.id()));
  if (in.has_record()) event.record = take(in.record());
  event.bits = in.bits();
  event.list = in.list();
  NOTP_TRY(event.check());
  return event;
}

}  // namespace notp::feed
