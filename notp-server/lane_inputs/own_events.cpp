#include "notp-server/lane_inputs/own_events.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/jose/json_depth.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {
namespace {

using feed::MarkKind;

constexpr TimeMs kSecond = 1'000;
constexpr std::array kMarks = {MarkKind::kSubject, MarkKind::kSession, MarkKind::kTokenNumber,
                               MarkKind::kTransaction};

// Empty when there is none.
Result<std::string> text_of(const json::object& line, std::string_view name, size_t bytes_max) {
  const json::value* const value = line.if_contains(name);
  if (value == nullptr) return std::string();
  if (!value->is_string() || value->get_string().empty() || value->get_string().size() > bytes_max)
    return refuse("line.member",
                  fmt::format("\"{}\" is not a text of 1 to {} bytes", name, bytes_max));
  return std::string(value->get_string());
}

// `absent` when there is none.
Result<int64_t> seconds_of(const json::object& line, std::string_view name, int64_t absent) {
  const json::value* const value = line.if_contains(name);
  if (value == nullptr) return absent;
  boost::system::error_code error;
  const auto seconds = value->to_number<int64_t>(error);
  if (error || seconds < 0 || seconds > feed::kAnyIssueTime)
    return refuse("line.time", fmt::format("\"{}\" is not a Unix time in whole seconds", name));
  return seconds;
}

Result<void> check_members(const json::object& line, std::string_view op,
                           std::initializer_list<std::string_view> allowed) {
  for (const auto& member : line) {
    if (member.key() == "op" || member.key() == "key" ||
        std::ranges::find(allowed, std::string_view(member.key())) != allowed.end())
      continue;
    const std::string_view hint =
        op == "add" ? "; what is known of a token stands in \"attributes\"" : "";
    return refuse("line.member", fmt::format("\"{}\" has no member \"{}\"{}", op,
                                             printable(member.key(), 64), hint));
  }
  return {};
}

Result<feed::TokenId> id_of(const json::object& line) {
  const bool has_id = line.contains("id"), has_token = line.contains("token");
  if (has_id == has_token)
    return refuse("line.id",
                  "needed is either \"id\", the SHA-256 of a token in hexadecimal, or "
                  "\"token\", the token itself");
  if (has_token) {
    NOTP_ASSIGN(const std::string token, text_of(line, "token", kTokenBytesMax));
    return feed::token_id(token);
  }
  NOTP_ASSIGN(const std::string text, text_of(line, "id", kTokenBytesMax));
  auto id = feed::TokenId::from_hex(text);
  // It may be a token that stands in the wrong place: not repeated.
  if (!id) return refuse("line.id", "\"id\" is not 64 (or 32) hexadecimal digits");
  return *id;
}

Result<void> check_issuer(std::string_view issuer, std::span<const std::string> issuers) {
  if (issuers.empty() || std::ranges::find(issuers, issuer) != issuers.end()) return {};
  return refuse("subject.other-issuer",
                fmt::format("this source may not tell of tokens and subjects of {}; if it may, add "
                            "it to subject_issuers",
                            printable(issuer)));
}

Result<lane::TokenAdded> added(const json::object& line, std::span<const std::string> issuers) {
  NOTP_TRY(check_members(line, "add", {"id", "token", "attributes"}));
  NOTP_ASSIGN(const feed::TokenId id, id_of(line));
  const json::value* const attributes = line.if_contains("attributes");
  if (attributes != nullptr && !attributes->is_object())
    return refuse("line.member", "\"attributes\" is not an object");
  // A policy believes what a record says: its issuer is as much told by the source as that of a
  // revocation.
  if (attributes != nullptr) {
    const json::value* const issuer = attributes->get_object().if_contains("iss");
    if (issuer != nullptr && issuer->is_string())
      NOTP_TRY(check_issuer(issuer->get_string(), issuers));
  }
  return lane::TokenAdded{id, attributes == nullptr ? json::object() : attributes->get_object()};
}

Result<lane::TokenDeleted> deleted(const json::object& line) {
  NOTP_TRY(check_members(line, "del", {"id", "token", "exp"}));
  NOTP_ASSIGN(const feed::TokenId id, id_of(line));
  NOTP_ASSIGN(const int64_t exp_s, seconds_of(line, "exp", 0));
  return lane::TokenDeleted{id, exp_s};
}

Result<lane::Revoked> revoked(const json::object& line, std::span<const std::string> issuers,
                              TimeMs now_ms) {
  NOTP_TRY(check_members(line, "revoke", {"iss", "sub", "sid", "jti", "txn", "before"}));
  lane::Revoked out;
  const MarkKind* named = nullptr;
  for (const MarkKind& kind : kMarks) {
    if (!line.contains(feed::mark_kind_name(kind))) continue;
    if (named != nullptr)
      return refuse("line.member", "\"revoke\" has one of \"sub\", \"sid\", \"jti\" and \"txn\"");
    named = &kind;
  }
  if (named == nullptr)
    return refuse("line.member", "\"revoke\" needs \"sub\", \"sid\", \"jti\" or \"txn\"");
  out.kind = *named;
  NOTP_ASSIGN(out.value, text_of(line, feed::mark_kind_name(out.kind), kSubjectBytesMax));
  NOTP_ASSIGN(out.issuer, text_of(line, "iss", kSubjectBytesMax));
  if (out.issuer.empty()) return refuse("line.member", "\"revoke\" needs \"iss\"");
  NOTP_TRY(check_issuer(out.issuer, issuers));
  const int64_t absent =
      out.kind == MarkKind::kSubject ? now_ms / kSecond + lane::kRevokeAheadS : feed::kAnyIssueTime;
  NOTP_ASSIGN(out.not_before_s, seconds_of(line, "before", absent));
  return out;
}

Result<lane::IncomingEvent> event_of(std::string_view text, std::span<const std::string> issuers,
                                     TimeMs now_ms) {
  if (text.size() > kEventLineBytesMax)
    return refuse("line.too-long", fmt::format("the line has {} bytes, more than {}", text.size(),
                                               kEventLineBytesMax));
  const auto value = jose::parse_shallow_json(text);
  // The parser's error may show a part of a token.
  if (!value || !value->is_object())
    return refuse("line.not-json", "the line is not one JSON object with each name once");
  const json::object& line = value->get_object();
  lane::IncomingEvent out;
  NOTP_ASSIGN(out.key, text_of(line, "key", lane::kSourceKeyBytesMax));
  NOTP_ASSIGN(const std::string op, text_of(line, "op", kSubjectBytesMax));
  if (op == "add") {
    NOTP_ASSIGN(out.what, added(line, issuers));
  } else if (op == "del") {
    NOTP_ASSIGN(out.what, deleted(line));
  } else if (op == "revoke") {
    NOTP_ASSIGN(out.what, revoked(line, issuers, now_ms));
  } else {
    return refuse("line.op", "\"op\" is not add, del or revoke");
  }
  return out;
}

std::string_view without_blanks(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = line.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

Result<std::vector<EventLine>> read_event_lines(ByteView body, std::span<const std::string> issuers,
                                                TimeMs now_ms) {
  std::vector<EventLine> out;
  for (size_t number = 1; !body.empty(); ++number) {
    const size_t end = body.find('\n');
    const std::string_view line = without_blanks(body.substr(0, end));
    body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
    if (line.empty()) continue;
    if (out.size() == kEventLinesMax)
      return fail(ErrorCode::kLimit,
                  fmt::format("more than {} events in one request", kEventLinesMax));
    out.push_back({number, event_of(line, issuers, now_ms)});
  }
  return out;
}

}  // namespace notp::lane_inputs
