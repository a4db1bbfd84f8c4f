// Status lists: the standard's examples, the rules by their names, and when lists are fetched.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "notp-server/lane_inputs/pull_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"
#include "notp-server/lane_inputs/status_list_core.hpp"
#include "tests/support/jose/status_lists.hpp"

namespace notp::lane_inputs {
namespace {

constexpr TimeMs kNow = 1'800'000'000'000;
constexpr int64_t kNowS = kNow / 1'000;
const std::string kUri = "https://id.example/lists/1";

const jose::SigningKey& own_key() {
  static const auto key = jose::SigningKey::generate(jose::Algorithm::kEs256).value();
  return key;
}

jose::KeySet keys_of(const jose::SigningKey& key, const std::string& kid) {
  return jose::KeySet::parse(json::object{{"keys", json::array{key.public_jwk(kid).canonical()}}})
      .value();
}

json::object header() { return {{"kid", "12"}, {"typ", "statuslist+jwt"}}; }
json::object list_of(int bits, ByteView zlib) {
  return {{"bits", bits}, {"lst", to_base64url(zlib)}};
}
json::object claims() {
  return {{"sub", kUri},
          {"iat", kNowS},
          {"exp", kNowS + 3600},
          {"ttl", 60},
          {"status_list", list_of(1, jose::zlib_of("\xb9\xa3"))}};
}

Result<StatusList> read(const json::object& claims, const json::object& header_of = header()) {
  return read_status_list(jose::sign_any_size(header_of, claims, own_key()),
                          keys_of(own_key(), "12"),
                          {.uri = kUri, .issuer = "https://id.example", .now_ms = kNow});
}

// "" for a list that is taken.
std::string refusal(const json::object& claims, const json::object& header_of = header()) {
  const auto list = read(claims, header_of);
  return list ? "" : std::string(rule_of(list.error()));
}
std::string refusal_with(const char* name, json::value value) {
  json::object changed = claims();
  changed[name] = std::move(value);
  return refusal(changed);
}
std::string refusal_without(const char* name) {
  json::object changed = claims();
  changed.erase(name);
  return refusal(changed);
}
std::string refusal_of_list(json::value list) {
  return refusal_with("status_list", std::move(list));
}

TEST_CASE("a list is what its issuer signed") {
  const auto list = read(claims()).value();
  CHECK(list.bits == 1);
  CHECK(list.statuses == 16);
  CHECK(list.zlib == jose::zlib_of("\xb9\xa3"));
  CHECK(list.exp_ms == kNow + 3'600'000);
  CHECK(list.ttl_ms == 60'000);
  // draft-ietf-oauth-status-list §4.1: 16 tokens with one bit, and 12 with two.
  CHECK(inflated_bytes(from_base64url("eNrbuRgAAhcBXQ").value(), 2) == 2u);
  CHECK(inflated_bytes(from_base64url("eNo76fITAAPfAgc").value(), 3) == 3u);
  CHECK(refusal_without("exp").empty());
  CHECK(refusal_with("iss", "https://id.example").empty());
  for (const int bits : {1, 2, 4, 8}) {
    json::object some = claims();
    some["status_list"] = list_of(bits, jose::zlib_of(std::string(100, '\x01')));
    CHECK(read(some)->statuses == 800u / bits);
  }
}

TEST_CASE("the time to the next fetch is the list's, within half a minute and five") {
  for (const auto& [ttl, wanted] : {std::pair<int64_t, TimeMs>(1, 30'000),
                                    {29, 30'000},
                                    {31, 31'000},
                                    {300, 300'000},
                                    {301, 300'000},
                                    {INT64_MAX, 300'000}}) {
    json::object some = claims();
    some["ttl"] = ttl;
    CHECK(read(some)->ttl_ms == wanted);
  }
  json::object none = claims();
  none.erase("ttl");
  CHECK(read(none)->ttl_ms == 300'000);
  for (const json::value& bad : {json::value(0), json::value(-5), json::value(60.5),
                                 json::value("60"), json::value(nullptr)})
    CHECK(refusal_with("ttl", bad) == "status-list.ttl");
}

TEST_CASE("hostile lists are refused by name") {
  const auto zlib = jose::zlib_of(std::string(1'000, '\x05'));
  CHECK(refusal_of_list(list_of(1, zlib)).empty());
  CHECK(refusal_with("sub", "https://id.example/lists/2") == "status-list.sub");
  CHECK(refusal_with("sub", 5) == "status-list.not-a-token");
  CHECK(refusal_without("sub") == "status-list.sub");
  CHECK(refusal_with("exp", kNowS) == "status-list.exp");
  CHECK(refusal_with("exp", kNowS - 3600) == "status-list.exp");
  CHECK(refusal_with("iat", kNowS + 3600) == "status-list.iat");
  CHECK(refusal_without("iat") == "status-list.iat");
  CHECK(refusal_with("nbf", kNowS + 3600) == "status-list.nbf");
  CHECK(refusal_with("iss", "https://other.example") == "status-list.iss");
  CHECK(refusal_with("aud", "somebody") == "status-list.aud");
  CHECK(refusal_without("status_list") == "status-list.no-list");
  CHECK(refusal_of_list("eNrbuRgAAhcBXQ") == "status-list.no-list");
  for (const json::value& bits : {json::value(3), json::value(0), json::value(16), json::value(-1),
                                  json::value("1"), json::value(1.5), json::value(nullptr)})
    CHECK(refusal_of_list({{"bits", bits}, {"lst", to_base64url(zlib)}}) == "status-list.bits");
  CHECK(refusal_of_list({{"lst", to_base64url(zlib)}}) == "status-list.bits");
  CHECK(refusal_of_list({{"bits", 1}}) == "status-list.lst");
  CHECK(refusal_of_list({{"bits", 1}, {"lst", "not base64!"}}) == "status-list.lst");
  CHECK(refusal_of_list({{"bits", 1}, {"lst", to_base64url(zlib) + "="}}) == "status-list.lst");
  CHECK(refusal_of_list(list_of(1, "")) == "status-list.truncated");
  CHECK(refusal_of_list(list_of(1, ByteView(zlib).substr(0, zlib.size() - 1))) ==
        "status-list.truncated");
  CHECK(refusal_of_list(list_of(1, ByteView(zlib).substr(0, 5))) == "status-list.truncated");
  CHECK(refusal_of_list(list_of(1, zlib + "x")) == "status-list.trailing");
  CHECK(refusal_of_list(list_of(1, "gzip, or nothing")) == "status-list.zlib");
  Bytes damaged = zlib;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);  // its checksum
  CHECK(refusal_of_list(list_of(1, damaged)) == "status-list.zlib");
}

TEST_CASE("a list may inflate to 64 MiB, and not to one byte more") {
  const Bytes most = jose::zlib_of(std::string(64 << 20, '\0'));
  const Bytes bomb = jose::zlib_of(std::string((64 << 20) + 1, '\0'));
  json::object some = claims();
  some["status_list"] = list_of(8, most);
  CHECK(read(some)->statuses == 64u << 20);
  CHECK(refusal_of_list(list_of(8, bomb)) == "status-list.bomb");
  CHECK(refusal_of_list(list_of(1, Bytes(limits::kStatusListBytesMax + 1, 'x'))) ==
        "status-list.too-large");
  const auto large = read_status_list(std::string(kStatusTokenBytesMax + 1, 'x'), {}, {});
  CHECK(rule_of(large.error()) == "status-list.too-large");
}

TEST_CASE("a list of another key, type or form is none") {
  CHECK(refusal(claims(), {{"kid", "12"}, {"typ", "JWT"}}) == "status-list.typ");
  CHECK(refusal(claims(), {{"kid", "12"}}) == "status-list.typ");
  CHECK(refusal(claims(), {{"kid", "12"}, {"typ", "application/statuslist+jwt"}}).empty());
  const auto unknown = read(claims(), {{"kid", "13"}, {"typ", "statuslist+jwt"}});
  REQUIRE_FALSE(unknown);
  CHECK(rule_of(unknown.error()) == "status-list.key");
  CHECK(unknown_kid_of(unknown.error()) == "13");
  const auto stranger = jose::SigningKey::generate(jose::Algorithm::kEs256).value();
  const auto forged = read_status_list(jose::sign_any_size(header(), claims(), stranger),
                                       keys_of(own_key(), "12"), {.uri = kUri, .now_ms = kNow});
  REQUIRE_FALSE(forged);
  CHECK(rule_of(forged.error()) == "status-list.signature");
  for (const std::string_view text : {"", "a.b", "{}", "a.b.c.d"}) {
    const auto none = read_status_list(text, keys_of(own_key(), "12"), {.uri = kUri});
    REQUIRE_FALSE(none);
    CHECK(rule_of(none.error()) == "status-list.not-a-token");
  }
}

// --- when

StatusList one_list(TimeMs exp_ms = kNever, char status = '\0') {
  return {.bits = 1,
          .zlib = jose::zlib_of(std::string(4, status)),
          .statuses = 32,
          .exp_ms = exp_ms,
          .ttl_ms = 60'000};
}

struct Lists {
  Now at(TimeMs after_ms) const { return {kNow + after_ms, after_ms}; }

  SeededRandom random{1};
  StatusListCore core{{"https://a.example/1", "https://a.example/2"}, 600'000, random, at(0)};
};

TEST_CASE("lists are fetched before their ttl ends, and count for their grace, but not past exp") {
  Lists lists;
  StatusListCore& core = lists.core;
  CHECK(core.state(lists.at(0)) == StatusListCore::State::kLate);
  CHECK(core.on_deadline(lists.at(0)) == 0u);
  const auto first = core.fetched(0, one_list(), lists.at(0));
  REQUIRE(first);
  CHECK(first->uri == "https://a.example/1");
  CHECK(first->until_s == kNowS + 660);
  core.taken(0, {}, lists.at(0));
  CHECK(core.on_deadline(lists.at(0)) == 1u);
  const auto second = core.fetched(1, one_list(kNow + 90'500), lists.at(0));
  REQUIRE(second);
  CHECK(second->until_s == kNowS + 90);  // exp, cut to seconds
  core.taken(1, {}, lists.at(0));
  CHECK(core.state(lists.at(0)) == StatusListCore::State::kOk);
  CHECK(core.next_deadline() >= 54'000);
  CHECK(core.next_deadline() <= 60'000);
  CHECK_FALSE(core.on_deadline(lists.at(53'999)));
  // The second one ends.
  CHECK(core.state(lists.at(90'000)) != StatusListCore::State::kOk);
}

TEST_CASE("an equal list is sent again only for its end; another one at once") {
  Lists lists;
  StatusListCore& core = lists.core;
  const auto send = [&](TimeMs after_ms, char status) {
    const auto event = core.fetched(0, one_list(kNever, status), lists.at(after_ms));
    if (event) core.taken(0, {}, lists.at(after_ms));
    return event.has_value();
  };
  CHECK(send(0, 'a'));
  CHECK_FALSE(send(60'000, 'a'));
  CHECK_FALSE(send(299'000, 'a'));
  CHECK(send(300'000, 'a'));  // half of the grace is gone
  CHECK_FALSE(send(301'000, 'a'));
  CHECK(send(302'000, 'b'));
  CHECK(send(303'000, 'a'));
  // An end that comes nearer is told too.
  CHECK(core.fetched(0, one_list(kNow + 400'000, 'a'), lists.at(304'000)));
}

TEST_CASE("a list of before the one that the lane has is not taken while that counts") {
  Lists lists;
  StatusListCore core({"https://a.example/1"}, 600'000, lists.random, lists.at(0));
  const auto list = [](TimeMs issued_ms, char status) {
    StatusList out = one_list(kNever, status);
    out.issued_ms = issued_ms;
    return out;
  };
  REQUIRE(core.fetched(0, list(kNow, 'a'), lists.at(0)));
  core.taken(0, {}, lists.at(0));
  // A cache on the way is behind.
  CHECK_FALSE(core.fetched(0, list(kNow - 1'000, 'b'), lists.at(60'000)));
  CHECK(core.state(lists.at(60'000)) == StatusListCore::State::kLate);
  CHECK(core.on_deadline(lists.at(65'000)) == 0u);
  CHECK(core.fetched(0, list(kNow + 1'000, 'c'), lists.at(65'000)));
  core.taken(0, {}, lists.at(65'000));
  // The issuer's clock was wrong: its lists count again when that one does not.
  CHECK(core.fetched(0, list(kNow, 'd'), lists.at(65'000 + 60'000 + 600'000)));
}

TEST_CASE("failures are tried again, and what a lane refused is sent again") {
  Lists lists;
  StatusListCore core({"https://a.example/1"}, 600'000, lists.random, lists.at(0));
  TimeMs now_ms = 0;
  for (const TimeMs wait_ms : {5'000, 10'000, 20'000, 40'000, 60'000, 60'000}) {
    CHECK_FALSE(core.fetched(0, fail(ErrorCode::kTimeout, "slow"), lists.at(now_ms)));
    now_ms += wait_ms;
    CHECK(core.on_deadline(lists.at(now_ms)) == 0u);
    CHECK(core.state(lists.at(now_ms)) == StatusListCore::State::kFailing);
    CHECK(core.message(lists.at(now_ms)) == "https://a.example/1: slow");
  }
  CHECK(core.fetched(0, one_list(), lists.at(now_ms)));
  core.taken(0, fail(ErrorCode::kOverloaded, "full"), lists.at(now_ms));
  CHECK(core.state(lists.at(now_ms)) == StatusListCore::State::kFailing);
  CHECK(core.on_deadline(lists.at(now_ms + 5'000)) == 0u);
  CHECK(core.fetched(0, one_list(), lists.at(now_ms + 5'000)));
  core.taken(0, {}, lists.at(now_ms + 5'000));
  CHECK(core.state(lists.at(now_ms + 5'000)) == StatusListCore::State::kOk);
}

}  // namespace
}  // namespace notp::lane_inputs
