#include "tests/sim/lane_truth.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <utility>

#include "common/assert.hpp"

namespace notp::sim {
namespace {

constexpr const char* kIssuer = "https://login.internal";
constexpr uint64_t kSubjects = 12, kSessions = 20, kLists = 3;
constexpr size_t kListTokens = 4'096, kLargeListTokens = 3'200'000;

std::string list_uri(uint64_t number) { return fmt::format("{}/lists/{}", kIssuer, number); }

Bytes zlib(const Bytes& content) {
  Bytes out(::compressBound(content.size()), '\0');
  uLongf size = out.size();
  const int state = ::compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                                reinterpret_cast<const Bytef*>(content.data()), content.size(), 1);
  NOTP_ASSERT(state == Z_OK, "zlib compresses");
  out.resize(size);
  return out;
}

}  // namespace

LaneTruth::LaneTruth(LanePort& port, SimLaneRegistry& registry)
    : port_(port), registry_(registry) {}

SimToken& LaneTruth::add_token() {
  SimToken token;
  const uint64_t number = ++numbers_;
  token.claims = {.token = fmt::format("token-{}-{}", number, port_.random().next_u64()),
                  .iss = kIssuer,
                  .sub = fmt::format("user-{}", port_.random().below(kSubjects)),
                  .sid = fmt::format("session-{}", port_.random().below(kSessions)),
                  .jti = fmt::format("jti-{}", number),
                  .iat_s = now_s(),
                  .exp_s = now_s() + port_.between(30, 3'600),
                  .list = feed::token_id(list_uri(port_.random().below(kLists))),
                  .index = port_.random().below(kListTokens),
                  .has_status = port_.chance(5)};
  token.id = feed::token_id(token.claims.token);
  token.audience = port_.chance(2) ? "api" : "web";
  tokens_.push_back(std::move(token));
  return tokens_.back();
}

json::object LaneTruth::attributes(const SimToken& token, const std::string& audience) const {
  return {{"iss", token.claims.iss},
          {"sub", token.claims.sub},
          {"sid", token.claims.sid},
          {"iat", token.claims.iat_s},
          {"exp", token.claims.exp_s},
          {"client_id", "shop"},
          {"aud", audience}};
}

void LaneTruth::make_token() {
  const SimToken token = add_token();
  const size_t place = tokens_.size() - 1;
  tell(0, {.key = fmt::format("{}:add", token.claims.jti),
           .what = lane::TokenAdded{token.id, attributes(token, token.audience)}});
  TimeMs later_ms = port_.between(500, 150'000);
  if (port_.chance(4)) {
    const std::string audience = token.audience == "api" ? "web" : "api";
    tell(later_ms, {.key = fmt::format("{}:change", token.claims.jti),
                    .what = lane::TokenAdded{token.id, attributes(token, audience)}});
    later_ms += port_.between(500, 60'000);
  }
  if (port_.chance(6))
    tell(later_ms, {.key = fmt::format("{}:mark", token.claims.jti),
                    .what = lane::Revoked{feed::MarkKind::kTokenNumber, kIssuer, token.claims.jti,
                                          feed::kAnyIssueTime}});
  if (!port_.chance(2)) return;
  // A delete may come before its add.
  const bool is_early = port_.chance(8);
  tell(is_early ? 0 : later_ms,
       {.key = port_.chance(2) ? fmt::format("{}:del", token.claims.jti) : std::string(),
        .what = lane::TokenDeleted{token.id, port_.chance(2) ? token.claims.exp_s : 0}},
       [this, place] { tokens_[place].deleted_in = registry_.store().state().instance; });
}

void LaneTruth::make_token_deleted(TimeMs delay_ms) {
  const SimToken token = add_token();
  tokens_.back().claims.exp_s = now_s() + 1'800;
  const size_t place = tokens_.size() - 1;
  waiting_ += 2;
  send("first", {.key = {}, .what = lane::TokenAdded{token.id, attributes(tokens_.back(), "api")}},
       {});
  port_.at(delay_ms, [this, token, place] {
    send("first", {.key = {}, .what = lane::TokenDeleted{token.id, tokens_[place].claims.exp_s}},
         [this, place] { tokens_[place].deleted_in = registry_.store().state().instance; });
  });
}

void LaneTruth::revoke_subject() {
  const bool is_session = port_.chance(2);
  const auto kind = is_session ? feed::MarkKind::kSession : feed::MarkKind::kSubject;
  std::string value = is_session ? fmt::format("session-{}", port_.random().below(kSessions))
                                 : fmt::format("user-{}", port_.random().below(kSubjects));
  // Of the second of a token's issue, now and then.
  int64_t not_before_s = now_s();
  if (!tokens_.empty() && port_.chance(2)) {
    const SimClaims& claims = tokens_[port_.random().below(tokens_.size())].claims;
    value = is_session ? claims.sid : claims.sub;
    not_before_s = claims.iat_s;
  }
  tell(0, {.key = {}, .what = lane::Revoked{kind, kIssuer, value, not_before_s}});
}

void LaneTruth::publish_list(bool large) {
  Bytes statuses((large ? kLargeListTokens : kListTokens) / 8, '\0');
  for (size_t i = 0; i < statuses.size(); i += large ? 1 : 7)
    statuses[i] = static_cast<char>(port_.random().next_u64());
  tell(0, {.key = {},
           .what = lane::ListFetched{list_uri(port_.random().below(kLists)), 1, zlib(statuses),
                                     now_s() + port_.between(30, 900)}});
}

void LaneTruth::tell(TimeMs delay_ms, const lane::IncomingEvent& event, Action taken) {
  const auto after = [&] {
    return delay_ms + (port_.faulty() && port_.chance(10) ? port_.between(1'000, 90'000)
                                                          : port_.between(0, 800));
  };
  const char* const source = port_.chance(2) ? "first" : "second";
  ++waiting_;
  port_.at(after(), [this, source, event, taken] { send(source, event, taken); });
  if (port_.faulty() && port_.chance(4)) {
    ++waiting_;
    port_.at(after(), [this, source, event] { send(source, event, {}); });
  }
  if (port_.faulty() && port_.chance(4)) {
    ++waiting_;
    port_.at(after(), [this, event] { send("third", event, {}); });
  }
}

// At least once: until the registry has taken it.
void LaneTruth::send(const std::string& source, const lane::IncomingEvent& event, Action taken) {
  auto is_answered = std::make_shared<bool>(false);
  const auto again = [this, source, event, taken, is_answered] {
    if (*is_answered) return;
    *is_answered = true;
    port_.at(port_.between(500, 2'000),
             [this, source, event, taken] { send(source, event, taken); });
  };
  // A registry that dies never answers.
  port_.at(5'000, again);
  registry_.take(source, event,
                 [this, taken, again, is_answered](Result<lane::IntakeOutcome> outcome) {
                   if (!outcome) return again();
                   if (std::exchange(*is_answered, true)) return;
                   ++sent_;
                   if (waiting_ > 0) --waiting_;
                   if (taken && !outcome->refused.front()) taken();
                 });
}

}  // namespace notp::sim
