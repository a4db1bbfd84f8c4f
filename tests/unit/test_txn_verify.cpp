// What the agent itself does with transaction tokens: counts, looks at inputs, makes the module.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <thread>

#include "common/jose/signing_key.hpp"
#include "notp-client/decision/txn_watch.hpp"

namespace notp {
namespace {

using jose::SigningKey;
constexpr TimeMs kNow = 1'800'000'000'000;
const rego::TxnRules kRules{.keys = "txn", .audience = "domain.example"};

struct Service {
  SigningKey key = SigningKey::generate(jose::Algorithm::kEs256).value();
  std::shared_ptr<const jose::KeySet> keys = std::make_shared<const jose::KeySet>(
      jose::KeySet::parse(json::value{{"keys", json::array{key.public_jwk("k").canonical()}}})
          .value());

  std::string token(const std::string& txn, const json::object& more = {},
                    const std::string& kid = "k") const {
    json::object claims{{"iss", "https://tts.example"},
                        {"iat", kNow / 1000},
                        {"exp", kNow / 1000 + 300},
                        {"aud", "domain.example"},
                        {"txn", txn},
                        {"sub", "ana"},
                        {"scope", "read"},
                        {"req_wl", "spiffe://domain.example/shop"}};
    for (const auto& [name, value] : more) claims[name] = value;
    return jose::sign_token({{"typ", "txntoken+jwt"}, {"kid", kid}}, claims, key).value();
  }
};

std::string check_of(const Result<txn::TxnToken>& result) {
  if (result) return "verified";
  for (const auto& [key, text] : result.error().context)
    if (key == "check") return text;
  return std::string(error_traits(result.error().code).name);
}

TEST_CASE("a refusal of the agent has a name") {
  const Service service;
  const auto check = [&](const std::string& token, TimeMs now_ms = kNow) {
    return check_of(txn::check_txn_token(token, *service.keys, kRules, now_ms));
  };
  CHECK(check(service.token("t")) == "verified");
  CHECK(check(service.token("t", {}, "other")) == "token.kid");
  CHECK(check(service.token("t", {{"aud", "x"}})) == "token.aud");
  CHECK(check(service.token("t", {{"exp", kNow / 1000 + 601}})) == "token.life");
  CHECK(check(service.token("t", {{"sub", ""}})) == "token.claims");
  CHECK(check(service.token("t", {{"tctx", 1}})) == "token.claims");
  CHECK(check(service.token("t", {{"x", "\xEF\xBF\xBD"}})) == "token.form");
  // To the millisecond: no leeway behind exp, 30 s before iat.
  CHECK(check(service.token("t"), kNow + 299'999) == "verified");
  CHECK(check(service.token("t"), kNow + 300'000) == "token.exp");
  CHECK(check(service.token("t"), kNow - 30'000) == "verified");
  CHECK(check(service.token("t"), kNow - 30'001) == "token.iat");
  std::string changed = service.token("t");
  changed[changed.size() - 20] = changed[changed.size() - 20] == 'A' ? 'B' : 'A';
  CHECK(check(changed) == "token.signature");
}

TEST_CASE("of many threads with one transaction one is the first") {
  txn::Presentations table;
  std::atomic<int> firsts = 0;
  std::atomic<uint64_t> sum = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 1'000; ++j) {
        const auto before = table.take("a/b", "t", kNow + 1, kNow);
        firsts += before == 0U ? 1 : 0;
        sum += before.value_or(1 << 20);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(firsts == 1);
  CHECK(sum == 8'000ULL * 7'999 / 2);  // each number once
  CHECK(table.take("a/c", "t", kNow + 1, kNow) == 0);
  CHECK(table.take("a", "b/t", kNow + 1, kNow) == 0);
}

TEST_CASE("a full table of presentations says that it does not know, until some have expired") {
  txn::Presentations table(3);
  for (const char* txn : {"1", "2", "3"}) CHECK(table.take("p", txn, kNow + 60'000, kNow) == 0);
  CHECK(table.take("p", "4", kNow + 60'000, kNow) == std::nullopt);
  CHECK(table.take("p", "2", kNow + 90'000, kNow) == 1);  // of a token that lives longer
  CHECK(table.take("p", "4", kNow + 160'000, kNow + 60'000) == 0);
  CHECK(table.size() == 2);
  CHECK(table.take("p", "2", kNow + 90'000, kNow + 60'000) == 2);
}

TEST_CASE("one valid token and invented paths take nobody else's counts") {
  constexpr size_t kCounts = 1'000;
  txn::Presentations table(kCounts);
  const TimeMs end_ms = kNow + 60'000;
  CHECK(table.take("gate/once", "ours", end_ms, kNow) == 0);
  // The attack: more paths than the table has counts.
  for (size_t i = 0; i < 3 * kCounts; ++i) {
    const auto before = table.take(fmt::format("invented/{}", i), "theirs", end_ms, kNow);
    REQUIRE(before.has_value());
    // Beyond the first ones they are counted together, never too low.
    CHECK(*before == (i < txn::kPresentedPathsMax ? 0 : i - txn::kPresentedPathsMax));
  }
  CHECK(table.size() == 1 + txn::kPresentedPathsMax);
  CHECK(table.take("invented/3", "theirs", end_ms, kNow) == 1);
  CHECK(table.take("gate/once", "ours", end_ms, kNow) == 1);
  // With many tokens: their paths take one half, and who was not seen before is still counted.
  for (size_t i = 0; i < kCounts / 4; ++i)
    for (size_t j = 0; j < txn::kPresentedPathsMax; ++j)
      table.take(fmt::format("invented/{}", j), fmt::format("theirs-{}", i), end_ms, kNow);
  CHECK(table.size() < kCounts);
  CHECK(table.take("gate/once", "new", end_ms, kNow) == 0);
  CHECK(table.take("gate/once", "new", end_ms, kNow) == 1);
  CHECK(table.take("gate/once", "ours", end_ms, kNow) == 2);
  // What has ended goes, whatever it held.
  for (size_t i = 0; i < 2 * kCounts; ++i) table.take("p", fmt::format("fill-{}", i), end_ms, kNow);
  CHECK(table.size() == kCounts);
  CHECK(table.take("p", "late", end_ms + 60'000, end_ms) == 0);
  CHECK(table.size() == 1);
}

TEST_CASE("a path that was counted with others stays so when the table has room again") {
  txn::Presentations table(8);
  const TimeMs end_ms = kNow + 60'000;
  CHECK(table.take("p", "lives", 2 * end_ms, kNow) == 0);
  for (int i = 0; i < 4; ++i) table.take("p", fmt::format("ends-{}", i), end_ms, kNow);
  CHECK(table.take("q", "lives", 2 * end_ms, kNow) == 0);
  for (int i = 0; i < 3; ++i) table.take("p", fmt::format("fills-{}", i), end_ms, kNow);
  CHECK(table.take("p", "sweeps", 2 * end_ms, end_ms) == 0);
  CHECK(table.size() == 2);
  CHECK(table.take("q", "lives", 2 * end_ms, end_ms) == 1);
}

// A watch, and what it makes of inputs.
struct Watching {
  explicit Watching(bool counts = true)
      : watch({.rules = kRules,
               .tokens = {"/txn_token", "/other/0"},
               .counts = counts,
               .keys = [this]() -> boost::asio::awaitable<std::shared_ptr<const jose::KeySet>> {
                 co_return has_keys ? service.keys : nullptr;
               },
               .unknown_key =
                   [this](txn::TxnSigner signer) { unknown.push_back(signer.issuer + signer.kid); },
               .now_ms = [] { return kNow; }},
              metrics) {}

  std::vector<std::vector<decision::SeenTxn>> look(pdp::Question& question) {
    boost::asio::io_context context;
    auto result = boost::asio::co_spawn(context, watch.look(question), boost::asio::use_future);
    context.run();
    return result.get();
  }
  std::vector<std::vector<decision::SeenTxn>> look(const std::vector<json::object>& inputs,
                                                   std::vector<std::string> path = {"a"}) {
    pdp::Question question{.path = std::move(path)};
    for (const json::object& input : inputs) question.inputs.push_back(json::serialize(input));
    auto out = look(question);
    presented = question.presented;
    return out;
  }
  double count(const std::string& outcome) {
    for (const auto& family : metrics.Collect())
      for (const auto& metric : family.metric)
        if (!metric.label.empty() && metric.label[0].value == outcome) return metric.counter.value;
    return -1;
  }

  Service service;
  prometheus::Registry metrics;
  bool has_keys = true;
  std::vector<std::string> unknown;
  std::vector<Bytes> presented;
  decision::TxnWatch watch;
};

TEST_CASE("what is valid is counted for its path, and what is not counts nothing") {
  Watching watching;
  const std::string token = watching.service.token("t-1");
  const auto seen = watching.look({{{"txn_token", token}}, {{"x", token}}, {{"txn_token", token}}});
  REQUIRE(seen.size() == 3);
  REQUIRE(seen[0].size() == 1);
  CHECK(seen[0][0].pointer == "/input/txn_token");
  CHECK(seen[0][0].token == sha256(token));
  CHECK(seen[0][0].txn == "t-1");
  CHECK(seen[0][0].sub == "ana");
  CHECK(seen[0][0].req_wl == "spiffe://domain.example/shop");
  CHECK(seen[1].empty());
  CHECK(watching.presented == std::vector<Bytes>{R"({"t-1":0})", "", R"({"t-1":1})"});
  watching.look({{{"txn_token", token}}}, {"b"});
  CHECK(watching.presented == std::vector<Bytes>{R"({"t-1":0})"});
  // Once for an input, wherever it has it.
  watching.look({{{"txn_token", token}, {"other", json::array{watching.service.token("t-1")}}}});
  CHECK(watching.presented == std::vector<Bytes>{R"({"t-1":2})"});

  std::string forged = watching.service.token("t-2");
  forged[forged.size() - 30] = forged[forged.size() - 30] == 'A' ? 'B' : 'A';
  const auto refused = watching.look({{{"txn_token", forged}}});
  CHECK(refused[0][0].token == sha256(forged));
  CHECK(refused[0][0].txn.empty());
  CHECK(refused[0][0].sub.empty());
  CHECK(watching.presented == std::vector<Bytes>{""});
  watching.look({{{"txn_token", watching.service.token("t-2")}}});
  CHECK(watching.presented == std::vector<Bytes>{R"({"t-2":0})"});

  watching.look({{{"txn_token", watching.service.token("t-3", {}, "new")}}});
  CHECK(watching.unknown == std::vector<std::string>{"https://tts.examplenew"});
  watching.has_keys = false;
  watching.look({{{"txn_token", token}}});
  CHECK(watching.presented == std::vector<Bytes>{""});
  CHECK(watching.count("verified") == 6);
  CHECK(watching.count("refused") == 1);
  CHECK(watching.count("unknown_key") == 1);
  CHECK(watching.count("no_keys") == 1);
}

TEST_CASE("an input is read as the engine reads it") {
  Watching watching;
  const std::string token = watching.service.token("t"), other = watching.service.token("u");
  pdp::Question question{.path = {"a"}, .form = pdp::InputForm::kBody};
  question.inputs.push_back(Bytes(R"({"input":{"txn_token":")" + other +
                                  R"("},"INPUT":{"txn\u005ftoken":")" + other +
                                  R"(","txn_token":")" + token + "\"}}"));
  const auto seen = watching.look(question);
  REQUIRE(seen.size() == 1);
  REQUIRE(seen[0].size() == 1);
  CHECK(seen[0][0].txn == "t");
  Watching silent(false);
  silent.look({{{"txn_token", silent.service.token("t")}}});
  CHECK(silent.presented.empty());
}

TEST_CASE("names cannot leave their place in the module") {
  const rego::TxnRules rules{.keys = "txn", .audience = "a\" } x { @KEYS@ \\"};
  for (const Bytes& text : {rego::worker_txn_module(rules), rego::opa_txn_module(rules)}) {
    CHECK(text.contains(R"("aud": "a\" } x { @KEYS@ \\")"));
    CHECK(text.contains("data.keys[\"txn\"]"));
    CHECK_FALSE(text.contains("@AUDIENCE@"));
    CHECK_FALSE(text.contains("@PLAIN@"));
    CHECK_FALSE(text.contains("@LANE@"));
    CHECK_FALSE(text.contains("tokens.revoked"));
  }
  CHECK(rego::worker_txn_module({.keys = "txn", .audience = "a", .has_lane = true})
            .contains("data.system.notp.tokens.revoked(claims) == false"));
  CHECK_FALSE(rego::opa_txn_module(rules).contains("notp.txn.keep"));
}

}  // namespace
}  // namespace notp
