// notp-client/api/access, api_tokens: access rights of callers.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/storage/files.hpp"
#include "notp-client/api/access.hpp"
#include "notp-client/api/api.hpp"
#include "notp-client/api/api_limits.hpp"
#include "notp-client/api/asked_decision.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace notp;

namespace {

constexpr TimeMs kNow = 1'800'000'000'000;
constexpr TimeMs kDay = 86'400'000;
const std::string kShop = "spiffe://core.internal/ns/shop/sa/web";

http::Peer over_tls(const std::string& uri, std::string error_code = {}) {
  http::Peer peer;
  peer.transport = http::Transport::kTls;
  peer.address = "192.0.2.7";
  peer.connection = 5;
  peer.certificate = http::PeerCertificate{.uris = {uri},
                                           .not_before_ms = kNow - kDay,
                                           .not_after_ms = kNow + kDay,
                                           .serial = "01",
                                           .error_code = std::move(error_code),
                                           .error = "a sentence"};
  return peer;
}

http::Peer over_loopback() {
  http::Peer peer;
  peer.address = "127.0.0.1";
  peer.loopback = true;
  peer.connection = 9;
  return peer;
}

api::PathPattern pattern(std::string_view text) {
  auto parsed = api::PathPattern::parse(text);
  REQUIRE_MESSAGE(parsed.has_value(), text);
  return *parsed;
}

api::AccessRules rules() {
  api::AccessRules out;
  out.trust_domain = "core.internal";
  out.peps = {{.identity = "spiffe://core.internal/ns/shop/*",
               .token = {},
               .paths = {pattern("shop/*")},
               .at_once = 3},
              {.identity = kShop, .token = {}, .paths = {pattern("payments/allow")}, .at_once = 2},
              {.identity = "spiffe://core.internal/ops", .token = {}, .paths = {pattern("*")}}};
  return out;
}

api::AccessRules with_tokens(api::AccessRules out) {
  out.has_tokens = true;
  auto tokens = api::ApiTokens::parse(fmt::format(
      "till sha256:{}\nother sha256:{}\n", sha256("secret-1").hex(), sha256("secret-2").hex()));
  REQUIRE(tokens);
  out.tokens = *std::move(tokens);
  out.peps.push_back({.identity = {}, .token = "till", .paths = {pattern("till/allow")}});
  return out;
}

std::string_view code_of(const std::expected<api::Caller, api::Refusal>& caller) {
  return caller ? std::string_view("") : caller.error().code;
}

}  // namespace

TEST_CASE("a path pattern covers what it names") {
  using Path = std::vector<std::string>;
  CHECK(pattern("*").covers(Path{}));
  CHECK(pattern("*").is_everything());
  CHECK(pattern("payments/*").covers(Path{"payments", "allow"}));
  CHECK(pattern("payments/*").covers(Path{"payments", "a", "b"}));
  CHECK_FALSE(pattern("payments/*").covers(Path{"payments"}));  // the whole package
  CHECK_FALSE(pattern("payments/*").covers(Path{}));
  CHECK_FALSE(pattern("payments/*").covers(Path{"payments2", "allow"}));
  CHECK(pattern("payments").covers(Path{"payments"}));
  CHECK(pattern("payments/allow").covers(Path{"payments", "allow", "0"}));
  CHECK_FALSE(pattern("payments/allow").covers(Path{"payments", "allowed"}));
  CHECK_FALSE(pattern("payments/allow").is_everything());
  CHECK(pattern("labels/app%2Ftier").covers(Path{"labels", "app/tier"}));
  CHECK_FALSE(pattern("labels/app%2Ftier").covers(Path{"labels", "app", "tier"}));
  for (const std::string_view bad : {"", "/payments", "a//b", "a/*/b", "pay*", "%zz", "a/"})
    CHECK_MESSAGE(!api::PathPattern::parse(bad), bad);
}

TEST_CASE("an identity pattern is a SPIFFE id of the domain") {
  for (const std::string_view good :
       {"spiffe://core.internal/ns/shop", "spiffe://core.internal/*", "spiffe://core.internal/a/*",
        "spiffe://core.internal/ns/sho*"})
    CHECK_MESSAGE(api::check_identity_pattern(good, "core.internal"), good);
  for (const std::string_view bad :
       {"spiffe://core.internal", "spiffe://core.internal/", "spiffe://core.internal.evil/a",
        "spiffe://core.internals/a", "https://core.internal/a", "spiffe://core.internal/a//b",
        "spiffe://core.internal/../a", "spiffe://core.internal/a/*/b", "spiffe://other/*"})
    CHECK_MESSAGE(!api::check_identity_pattern(bad, "core.internal"), bad);
}

TEST_CASE("a certificate is judged by its verdict, its time, its identity and the rules") {
  const api::Access access(rules());
  const auto code = [&](const http::Peer& peer, TimeMs now = kNow) {
    return std::string(code_of(access.identify(peer, "", now)));
  };
  CHECK(code(over_tls(kShop)).empty());
  CHECK(code(over_tls(kShop, "certificate_untrusted")) == "certificate_untrusted");
  CHECK(code(over_tls(kShop, "certificate_expired")) == "certificate_expired");
  CHECK(code(over_tls(kShop, "certificate_invalid")) == "certificate_invalid");
  // A connection that has outlived its certificate.
  CHECK(code(over_tls(kShop), kNow + kDay) == "certificate_expired");
  CHECK(code(over_tls(kShop), kNow - 2 * kDay) == "certificate_expired");
  CHECK(code(over_tls("spiffe://core.internal/ns/bank/sa/web")) == "identity_denied");
  CHECK(code(over_tls("spiffe://other/ns/shop/sa/web")) == "identity_denied");
  CHECK(code(over_tls("spiffe://core.internal/ns/shop/../../ops")) == "identity_denied");
  http::Peer two = over_tls(kShop);
  two.certificate->uris.push_back("spiffe://core.internal/ops");
  CHECK(code(two) == "identity_denied");
  http::Peer none = over_tls(kShop);
  none.certificate.reset();
  CHECK(code(none) == "certificate_missing");
  CHECK(access.identify(none, "Bearer whatever", kNow).error().status == 401);
}

TEST_CASE("rules that match are added up") {
  const api::Access access(rules());
  const auto shop = access.identify(over_tls(kShop), "", kNow);
  REQUIRE(shop);
  CHECK(shop->name == kShop);
  CHECK_FALSE(shop->everything);
  CHECK(shop->at_once == 3);
  CHECK(api::Access::check_path(*shop, {"shop", "allow"}));
  CHECK(api::Access::check_path(*shop, {"payments", "allow"}));
  const auto refused = api::Access::check_path(*shop, {"payments", "limits"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().status == 403);
  CHECK(refused.error().code == "path_not_allowed");
  CHECK_FALSE(api::Access::check_path(*shop, {}));
  CHECK_FALSE(api::Access::check_everything(*shop, "the status"));

  const auto ops = access.identify(over_tls("spiffe://core.internal/ops"), "", kNow);
  REQUIRE(ops);
  CHECK(api::Access::check_path(*ops, {}));
  CHECK(api::Access::check_everything(*ops, "the status"));
}

TEST_CASE("without rules whoever has a name may ask everything, of this domain") {
  api::AccessRules open = rules();
  open.peps.clear();
  const api::Access access(std::move(open));
  const auto caller = access.identify(over_tls(kShop), "", kNow);
  REQUIRE(caller);
  CHECK(caller->everything);
  CHECK(caller->at_once == limits::kPepAtOnceDefault);
  CHECK(code_of(access.identify(over_tls("spiffe://other/a"), "", kNow)) == "identity_denied");
}

TEST_CASE("on loopback anyone asks, with tokens their holders alone") {
  const api::Access open(rules());
  const auto anyone = open.identify(over_loopback(), "Bearer ignored", kNow);
  REQUIRE(anyone);
  CHECK(anyone->anonymous);
  CHECK(anyone->everything);
  CHECK(anyone->name == "connection 9");
  http::Peer process = over_loopback();
  process.transport = http::Transport::kUnix;
  process.unix_peer = http::UnixCredentials{.pid = 4711, .uid = 1000, .gid = 1000};
  CHECK(open.identify(process, "", kNow)->name == "process 4711");

  const api::Access access(with_tokens(rules()));
  CHECK(code_of(access.identify(over_loopback(), "", kNow)) == "unauthorized");
  CHECK(code_of(access.identify(process, "", kNow)) == "unauthorized");
  CHECK(code_of(access.identify(over_loopback(), "Bearer wrong", kNow)) == "unauthorized");
  CHECK(code_of(access.identify(over_loopback(), "Basic c2VjcmV0LTE=", kNow)) == "unauthorized");
  CHECK(code_of(access.identify(over_loopback(), "Bearer ", kNow)) == "unauthorized");
  CHECK(code_of(access.identify(over_loopback(),
                                "Bearer " + std::string(limits::kApiTokenBytesMax, 'x'), kNow)) ==
        "unauthorized");
  const auto till = access.identify(over_loopback(), "bearer secret-1", kNow);
  REQUIRE(till);
  CHECK(till->name == "token till");
  CHECK(api::Access::check_path(*till, {"till", "allow"}));
  CHECK_FALSE(api::Access::check_path(*till, {"shop", "allow"}));
  // A token that is not a PEP's, beside rules.
  CHECK(code_of(access.identify(over_loopback(), "Bearer secret-2", kNow)) == "identity_denied");
  // Over TLS a token works as well; a certificate does not make up for a wrong one.
  http::Peer bare = over_tls(kShop);
  bare.certificate.reset();
  CHECK(access.identify(bare, "Bearer secret-1", kNow)->name == "token till");
  CHECK(code_of(access.identify(bare, "", kNow)) == "unauthorized");
  CHECK(access.identify(over_tls(kShop), "Bearer secret-1", kNow)->name == "token till");
  CHECK(code_of(access.identify(over_tls(kShop), "Bearer wrong", kNow)) == "unauthorized");
  CHECK(access.identify(over_tls(kShop), "", kNow)->name == kShop);
}

TEST_CASE("a record names the caller as far as it is proven") {
  const api::Access access(with_tokens(rules()));
  const auto pep = [](const http::Peer& peer, const api::Caller& caller) {
    return api::pep_of(peer, caller);
  };
  CHECK(pep(over_tls(kShop), *access.identify(over_tls(kShop), "", kNow)) ==
        record::Pep{.identity = kShop});
  CHECK(pep(over_tls(kShop), *access.identify(over_tls(kShop), "Bearer secret-1", kNow)) ==
        record::Pep{.token = "till"});
  CHECK(pep(over_loopback(), api::Caller()) == record::Pep{.address = "127.0.0.1"});
  http::Peer process = over_loopback();
  process.transport = http::Transport::kUnix;
  process.address = "unix";
  process.unix_peer = http::UnixCredentials{.pid = 4711, .uid = 1000, .gid = 1001};
  CHECK(pep(process, api::Caller()) == record::Pep{.uid = 1000, .gid = 1001, .pid = 4711});
  CHECK(pep(process, *access.identify(process, "Bearer secret-1", kNow)) ==
        record::Pep{.uid = 1000, .gid = 1001, .pid = 4711, .token = "till"});
  // A process of another namespace has no id here.
  process.unix_peer->pid = 0;
  CHECK(pep(process, api::Caller()) == record::Pep{.uid = 1000, .gid = 1001});
}

TEST_CASE("a trace is taken over when its header is valid") {
  const std::string id = "4bf92f3577b34da6a3ce929d0e0e4736", span = "00f067aa0ba902b7";
  const auto trace = api::parse_traceparent("00-" + id + "-" + span + "-01");
  REQUIRE(trace);
  CHECK(trace->trace_id == id);
  CHECK(trace->span_id == span);
  CHECK(api::parse_traceparent("cc-" + id + "-" + span + "-01-what-the-future-brings"));
  for (const std::string& header :
       {std::string(), "00-" + id + "-" + span, "ff-" + id + "-" + span + "-01",
        "00-" + id + "-" + span + "-01-", "00-" + id + "-" + span + "-0x",
        "cc-" + id + "-" + span + "-01x", "00-" + std::string(32, '0') + "-" + span + "-01",
        "00-" + id + "-" + std::string(16, '0') + "-01", "00_" + id + "-" + span + "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + span + "-01"}) {
    CAPTURE(header);
    CHECK_FALSE(api::parse_traceparent(header));
  }
}

TEST_CASE("a request for a decision carries what its record says about who asked") {
  http::Request request;
  request.peer = over_loopback();
  request.peer.port = 4711;
  request.headers = {{"TraceParent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}};
  const auto started = decision::SteadyClock::now();
  auto asked = api::decision_request(decision::DecisionApi::kAuthzen, {.path = {"a"}}, request,
                                     api::Caller(), started);
  CHECK(asked.api == decision::DecisionApi::kAuthzen);
  CHECK(asked.question.path == std::vector<std::string>{"a"});
  CHECK(asked.requested_by == "127.0.0.1:4711");
  CHECK(asked.span_id == "00f067aa0ba902b7");
  CHECK(asked.started == started);
  request.peer.address = "::1";
  request.headers = {{"traceparent", "none"}};
  asked = api::decision_request(decision::DecisionApi::kData, {}, request, api::Caller(), started);
  CHECK(asked.requested_by == "[::1]:4711");
  CHECK(asked.trace_id.empty());
}

TEST_CASE("a caller has so many requests under way and no more, whatever others have") {
  api::CallersAtOnce callers;
  auto first = callers.enter("a", 2);
  auto second = callers.enter("a", 2);
  CHECK(first);
  CHECK(second);
  CHECK_FALSE(callers.enter("a", 2));
  CHECK(callers.enter("b", 2));
  second.reset();
  auto third = callers.enter("a", 2);
  CHECK(third);
  CHECK_FALSE(callers.enter("a", 2));
  CHECK(callers.enter("a", 0));  // not limited
}

TEST_CASE("a refusal is logged once an hour, with how many there were") {
  api::RefusalLog log;
  CHECK(log.count("a", "unauthorized", 0) == 1);
  CHECK(log.count("a", "unauthorized", 1) == 0);
  CHECK(log.count("a", "identity_denied", 2) == 1);
  CHECK(log.count("b", "unauthorized", 3) == 1);
  CHECK(log.count("a", "unauthorized", limits::kRefusalLogMs - 1) == 0);
  CHECK(log.count("a", "unauthorized", limits::kRefusalLogMs) == 3);
  CHECK(log.count("a", "unauthorized", limits::kRefusalLogMs + 1) == 0);
  // When there are too many, the oldest log entry is forgotten.
  for (size_t i = 0; i <= limits::kRefusalsRememberedMax; ++i)
    CHECK(log.count(fmt::format("peer {}", i), "unauthorized", limits::kRefusalLogMs + 2) == 1);
  CHECK(log.count("b", "unauthorized", limits::kRefusalLogMs + 2) == 1);
}

TEST_CASE("a file of tokens says what is wrong with it, and never repeats a secret") {
  const std::string hash = sha256("a").hex();
  const auto good = api::ApiTokens::parse("# a comment\n\n  till\tsha256:" + hash +
                                          " \r\nnext sha256:" + sha256("b").hex());
  REQUIRE(good);
  CHECK(good->size() == 2);
  CHECK(good->find("a") == "till");
  CHECK(good->find("b") == "next");
  CHECK(good->find("").empty());
  CHECK(good->find("c").empty());
  CHECK(api::ApiTokens::parse("")->size() == 0);

  const auto bad = api::ApiTokens::parse("till " + hash + "\nok sha256:" + hash +
                                         "\nsecret-token\nx y sha256:" + hash + "\nt sha256:12 \n");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == ErrorCode::kConfig);
  for (const std::string_view line : {"line 1:", "line 3:", "line 4:", "line 5:"})
    CHECK(bad.error().message.contains(line));
  CHECK_FALSE(bad.error().message.contains("line 2:"));
  CHECK_FALSE(bad.error().message.contains("secret-token"));
}

TEST_CASE("a file of secrets is for its owner alone") {
  const TemporaryFolder temp;
  const auto file = temp.path() / "tokens";
  REQUIRE(write_file(file, "till sha256:" + sha256("a").hex() + "\n", 0600));
  CHECK(api::ApiTokens::load(file)->size() == 1);
  for (const unsigned mode : {0640U, 0604U, 0660U, 0644U, 0610U}) {
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    const auto refused = api::ApiTokens::load(file);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.contains("chmod 600"));
  }
  CHECK(api::ApiTokens::load(temp.path() / "none").error().code == ErrorCode::kConfig);
}

TEST_CASE("a file of secrets may be another user's, who gives it to this process by its group") {
  if (::geteuid() != 0) return;  // only root can give a file away
  constexpr uid_t kSomebody = 54'321;
  const TemporaryFolder temp;
  const auto file = temp.path() / "tokens";
  REQUIRE(write_file(file, "till sha256:" + sha256("a").hex() + "\n", 0600));
  const auto is_taken = [&](unsigned mode, gid_t group) {
    REQUIRE(::chown(file.c_str(), kSomebody, group) == 0);
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    return api::ApiTokens::load(file).has_value();
  };
  CHECK(is_taken(0640, ::getegid()));
  CHECK(is_taken(0440, ::getegid()));
  CHECK_FALSE(is_taken(0640, kSomebody));
  CHECK_FALSE(is_taken(0660, ::getegid()));
  CHECK_FALSE(is_taken(0644, ::getegid()));
}

TEST_CASE("a secret is made once and kept") {
  const TemporaryFolder temp;
  const auto file = temp.path() / "opa-token";
  const auto made = api::read_or_make_secret(file);
  REQUIRE(made);
  CHECK(made->size() == 5 + 64);
  CHECK(*api::read_or_make_secret(file) == *made);
  CHECK(*api::read_secret(file) == *made);
  CHECK(api::make_token() != *made);
  struct stat status{};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(std::distance(std::filesystem::directory_iterator(temp.path()), {}) == 1);
  CHECK(api::equal_secrets(*made, *made));
  CHECK_FALSE(api::equal_secrets(*made, made->substr(1)));
  CHECK_FALSE(api::equal_secrets("ab", "ac"));
  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  CHECK(api::read_or_make_secret(file).error().code == ErrorCode::kConfig);
}
