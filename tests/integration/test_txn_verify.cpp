// Transaction tokens in the embedded engine, in the real OPA and by common/jose: one verdict.
#include <doctest/doctest.h>

#include "common/random.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "notp-client/txn/verify/txn_check.hpp"
#include "tests/support/agent/ask_pdp.hpp"
#include "tests/support/agent/opa_host.hpp"
#include "tests/support/jose/txn_samples.hpp"
#include "tests/support/process/command.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;
using jose::Algorithm;
using namespace txn_samples;

constexpr const char* kPolicy = R"(package gate

verdicts := [verdict |
	some token in input.tokens
	verdict := object.get({"v": claims | claims := data.system.notp.txn.verify(token)}, "v", "refused")
]

# What a policy gets that verifies by io.jwt alone.
plain := [verdict |
	some token in input.tokens
	verdict := [valid |
		[valid, _, _] := io.jwt.decode_verify(token, {"cert": json.marshal(data.keys.txn), "aud": "domain.example"})
	]
]

states := [data.system.notp.txn.state(token) | some token in input.tokens]

keys := data.system.notp.txn.keys

seen := data.system.notp.txn.presented(data.system.notp.txn.verify(input.tokens[0]))
)";

const rego::TxnRules kRules{.keys = "txn", .audience = "domain.example"};

// A node with both kinds of PDP.
struct Node {
  explicit Node(const json::object& document, const rego::TxnRules* rules = &kRules) {
    set_ = jose::KeySet::parse_text(json::serialize(document)).value();
    TestComposition made = compose(
        {{"gate", 1, {"gate"}, {{"gate/gate.rego", kPolicy}}},
         {"issuers", 7, {"keys/txn"}, {{"keys/txn/data.json", json::serialize(document)}}}});
    auto active = std::make_shared<pdp::ActiveSet>(*made.active_set);
    active->txn = rules ? std::make_shared<const rego::TxnRules>(*rules) : nullptr;
    made.active_set = active;
    host.on_agent([&] {
      embedded = std::make_unique<pdp::EmbeddedPdp>(
          host.context.get_executor(), workers.get_executor(), workers,
          pdp::EmbeddedOptions{.engine = {.worker = test_worker()}});
      embedded->on_unknown_keys([this](const std::vector<wire::UnknownKey>& keys) {
        const MutexLock lock(mutex);
        unknown.insert(unknown.end(), keys.begin(), keys.end());
      });
      embedded->start(reports.sink());
      embedded->activate(made.active_set, made.load);
    });
    host.activate(made);
    host.start_opa();
    const auto outcome = host.next();
    REQUIRE_MESSAGE(!outcome.rejected, outcome.rejected->message);
    const auto confirmed = reports.next();
    REQUIRE(confirmed);
    REQUIRE_MESSAGE(!confirmed->rejected, confirmed->rejected->message);
  }
  ~Node() {
    host.on_agent([&] { embedded.reset(); });
  }

  std::string asked(pdp::Pdp& pdp, std::string_view path, const std::vector<std::string>& tokens) {
    const json::value input{{"tokens", json::value_from(tokens)}};
    const auto answer = ask(pdp, path, json::serialize(input));
    if (!answer) return answer.error().message;
    return *answer ? **answer : "undefined";
  }
  // One value for each token. An evaluation has a deadline, and so takes a part of them.
  json::array of_each(pdp::Pdp& pdp, std::string_view path,
                      const std::vector<std::string>& tokens) {
    constexpr size_t kAtOnce = 20;
    json::array out;
    for (size_t begin = 0; begin < tokens.size(); begin += kAtOnce) {
      const size_t end = std::min(begin + kAtOnce, tokens.size());
      const std::vector<std::string> part(tokens.begin() + static_cast<ptrdiff_t>(begin),
                                          tokens.begin() + static_cast<ptrdiff_t>(end));
      const std::string answer = asked(pdp, path, part);
      const auto values = parse_json(answer);
      REQUIRE_MESSAGE(values, answer);
      REQUIRE(values->as_array().size() == part.size());
      out.insert(out.end(), values->as_array().begin(), values->as_array().end());
    }
    return out;
  }
  // The answer of both.
  json::array of_both(std::string_view path, const std::vector<std::string>& tokens) {
    json::array own = of_each(*embedded, path, tokens);
    const json::array opa = of_each(*host.pdp, path, tokens);
    for (size_t i = 0; i < tokens.size(); ++i)
      CHECK_MESSAGE(own[i] == opa[i], tokens[i], ": embedded ", json::serialize(own[i]), ", OPA ",
                    json::serialize(opa[i]));
    return own;
  }
  bool is_taken_here(std::string_view token, const rego::TxnRules& rules = kRules) const {
    return txn::check_txn_token(token, set_, rules, read_clock().wall_ms).has_value();
  }

  asio::thread_pool workers{2};
  Mutex mutex;
  std::vector<wire::UnknownKey> unknown;
  ReportQueue reports;
  std::unique_ptr<pdp::EmbeddedPdp> embedded;
  OpaHost host{true};
  jose::KeySet set_;
};

TEST_CASE("hostile tokens are refused by both engines and by the agent") {
  const std::vector<Signer> all = signers("k");
  Node node(key_document(all));
  size_t refused = 0, taken_by_jwt = 0;
  std::vector<std::string> of_jwt;
  for (const Signer& signer : all) {
    std::vector<Case> cases = hostile(signer);
    std::vector<std::string> tokens;
    for (const Case& one : cases) tokens.push_back(one.token);
    const json::object good = good_claims();
    tokens.push_back(token_of(signer, good));
    const json::array verdicts = node.of_both("gate/verdicts", tokens);
    const json::array plain = node.of_each(*node.host.pdp, "gate/plain", tokens);
    for (size_t i = 0; i < cases.size(); ++i) {
      CHECK_MESSAGE(verdicts[i] == "refused", cases[i].name, ": ", json::serialize(verdicts[i]));
      CHECK_MESSAGE(!node.is_taken_here(tokens[i]), cases[i].name);
      refused += verdicts[i] == "refused" ? 1 : 0;
      if (plain[i] == json::array{true}) {
        ++taken_by_jwt;
        of_jwt.push_back(cases[i].name);
      }
    }
    CHECK(verdicts.back().is_object());
    CHECK_MESSAGE(verdicts.back() == good, json::serialize(verdicts.back()));
    CHECK(node.is_taken_here(tokens.back()));
  }
  MESSAGE(refused, " refused; io.jwt.decode_verify alone takes ", taken_by_jwt);
  // The control: without this package the typ, and much else, is not looked at.
  CHECK(std::ranges::find(of_jwt, "typ at+jwt") != of_jwt.end());
  CHECK(std::ranges::find(of_jwt, "sub twice") != of_jwt.end());
}

// The tests above find a module that forgets a rule.
TEST_CASE("planted: a module without one of its rules takes hostile tokens") {
  const std::vector<Signer> all = signers("k");
  json::array tokens;
  std::vector<std::string> names;
  for (const Case& one : hostile(all[0])) {
    tokens.push_back(json::value(one.token));
    names.push_back(one.name);
  }
  const auto taken = [&](std::string_view rule) {
    Bytes text = rego::opa_txn_module(kRules);
    if (!rule.empty()) {
      const size_t begin = text.find(rule);
      REQUIRE(begin != Bytes::npos);
      text.erase(begin, text.find('\n', begin) - begin);
    }
    const TemporaryFolder folder;
    REQUIRE(write_file(folder.path() / "txn.rego", text));
    REQUIRE(write_file(folder.path() / "ask.rego", kPolicy));
    json::object data, input{{"tokens", tokens}};
    data["keys"] = json::object{{"txn", key_document(all)}};
    REQUIRE(write_file(folder.path() / "data.json", json::serialize(data)));
    REQUIRE(write_file(folder.path() / "input.json", json::serialize(input)));
    const CommandResult answer =
        run_command({opa_binary(), "eval", "--format", "raw", "--data", folder.path() / "txn.rego",
                     "--data", folder.path() / "ask.rego", "--data", folder.path() / "data.json",
                     "--input", folder.path() / "input.json", "data.gate.states"});
    REQUIRE_MESSAGE(answer.status == 0, answer.output);
    const json::value states = parse_json(answer.output).value();
    std::vector<std::string> out;
    for (size_t i = 0; i < names.size(); ++i)
      if (states.at(i) == "verified") out.push_back(names[i]);
    return out;
  };
  const auto has = [](const std::vector<std::string>& all_taken, std::string_view name) {
    return std::ranges::find(all_taken, name) != all_taken.end();
  };
  CHECK(taken("").empty());
  CHECK(has(taken("header.typ == "), "typ at+jwt"));
  CHECK(has(taken("count({\"crit\""), "crit that OPA knows"));
  CHECK(has(taken("_is_plain(split("), "sub twice"));
  CHECK(has(taken("claims.exp - claims.iat"), "lives too long"));
  CHECK(has(taken("claims.iat <="), "issued too far ahead"));
  CHECK(has(taken("claims.aud == "), "two domains"));
}

// Changes a good token in few or many ways, half of which leave it good.
class Generated {
 public:
  Generated(uint64_t seed, const std::vector<Signer>& known, const std::vector<Signer>& strangers)
      : random_(seed), known_(known), strangers_(strangers) {}

  std::string token() {
    const Signer& signer = random_.below(12) == 0 ? pick(strangers_) : pick(known_);
    json::object header = header_of(signer), claims = good_claims();
    for (uint64_t changes = random_.below(4); changes > 0; --changes) change(header, claims);
    std::string head = json::serialize(header), body = json::serialize(claims);
    if (random_.below(20) == 0) body = spaced(body);
    std::string token =
        signed_text(head, body, random_.below(25) == 0 ? pick(known_).key : signer.key);
    if (random_.below(30) == 0) token[random_.below(token.size())] = "Aa.=-_z9"[random_.below(8)];
    return token;
  }

 private:
  const Signer& pick(const std::vector<Signer>& from) { return from[random_.below(from.size())]; }
  static std::string spaced(const std::string& text) {
    std::string out;
    for (const char c : text) {
      out += c;
      if (c == ',' || c == ':') out += " \n";
    }
    return out;
  }
  json::value any() {
    switch (random_.below(9)) {
      case 0:
        return nullptr;
      case 1:
        return random_.below(2) == 0;
      case 2:
        return "";
      case 3:
        return "text \xC3\xA4 \" \\ \n";
      case 4:
        return json::array{1, "two", json::object{{"three", nullptr}}};
      case 5:
        return json::object{{"a", json::object{{"b", json::array{1.5, -7}}}}};
      case 6:
        return static_cast<double>(random_.next_u64()) * 1e-3;
      case 7:
        return now_s() + static_cast<int64_t>(random_.below(400)) - 200;
      default:
        return random_.next_u64();
    }
  }
  void change(json::object& header, json::object& claims) {
    constexpr const char* kNames[] = {"iss",   "iat",    "exp",  "aud",  "txn", "sub",
                                      "scope", "req_wl", "tctx", "rctx", "jti", "nbf"};
    const char* const name = kNames[random_.below(std::size(kNames))];
    switch (random_.below(13)) {
      case 0:
        claims.erase(name);
        break;
      case 1:
        claims[name] = any();
        break;
      case 2:
        claims["exp"] = now_s() + 20 + static_cast<int64_t>(random_.below(900)) - 50;
        break;
      case 3:
        claims["iat"] = now_s() + (random_.below(2) == 0 ? 20 : 40);
        break;
      case 4:
        claims["nbf"] = now_s() + (random_.below(2) == 0 ? -20 : 20);
        break;
      case 5:
        claims["exp"] = static_cast<double>(now_s()) + 100.5;
        break;
      case 6:
        header["typ"] = pick_text({"txntoken+jwt", "JWT", "at+jwt", "Txntoken+jwt"});
        break;
      case 7:
        header["kid"] = pick(known_).kid;
        break;
      case 8:
        header["alg"] = pick_text({"ES256", "ES384", "ES512", "EdDSA", "RS256", "HS256"});
        break;
      case 9:
        header[pick_text({"jku", "x5u", "x5t", "jwk", "x"})] = any();
        break;
      case 10:
        header[pick_text({"crit", "cty", "zip", "b64"})] = any();
        break;
      case 11:
        claims[fmt::format("more{}", random_.below(5))] = any();
        break;
      default:
        claims["aud"] = random_.below(2) == 0 ? json::value("domain.example")
                                              : json::value(json::array{"domain.example"});
    }
  }
  std::string pick_text(std::vector<std::string> from) { return from[random_.below(from.size())]; }

  SeededRandom random_;
  const std::vector<Signer>& known_;
  const std::vector<Signer>& strangers_;
};

TEST_CASE("embedded, OPA and the agent agree on generated tokens and constraints") {
  size_t taken = 0, all = 0, different = 0, over = 0;
  for (uint64_t round = 0; round < 5; ++round) {
    std::vector<Signer> known = signers(fmt::format("r{}", round)), strangers = signers("x");
    // Sets that lack some of their keys' members, or some keys.
    json::object document = key_document(known);
    for (json::value& key : document.at("keys").as_array()) {
      if (round == 1) key.as_object().erase("alg");
      if (round == 2) key.as_object().erase("use");
      if (round == 3) key.as_object()["key_ops"] = json::array{"verify"};
    }
    if (round == 4) document.at("keys").as_array().pop_back();
    Node node(document);
    Generated generated(0x7a11 + round, known, strangers);
    for (int batch = 0; batch < 11; ++batch) {
      std::vector<std::string> tokens;
      for (int i = 0; i < 100; ++i) tokens.push_back(generated.token());
      const json::array verdicts = node.of_both("gate/verdicts", tokens);
      const json::array plain = node.of_each(*node.embedded, "gate/plain", tokens);
      for (size_t i = 0; i < tokens.size(); ++i) {
        const bool is_taken = verdicts[i] != "refused";
        const bool is_same = is_taken == node.is_taken_here(tokens[i]);
        CHECK_MESSAGE(is_same, tokens[i], " of round ", round, ": engines ", is_taken);
        different += is_same ? 0 : 1;
        taken += is_taken ? 1 : 0;
        over += !is_taken && plain[i] == json::array{true} ? 1 : 0;
        ++all;
      }
    }
  }
  MESSAGE(all, " tokens, ", taken, " taken, ", different, " different; io.jwt alone takes ", over,
          " more");
  CHECK(all >= 5'000);
  CHECK(taken > 1'000);
  CHECK(all - taken > 1'000);
  CHECK(over > 100);
}

TEST_CASE("a kid that the set lacks is a state of its own, and the registry is told") {
  const std::vector<Signer> known = signers("k"), others = signers("new");
  Node node(key_document(known));
  const json::array states = node.of_both(
      "gate/states", {token_of(known[0], good_claims()), token_of(others[0], good_claims()),
                      "nonsense", token_of(others[0], {{"iss", "x"}})});
  CHECK(states == json::array{"verified", "unknown_key", "refused", "unknown_key"});
  CHECK(wait_until([&] {
    const MutexLock lock(node.mutex);
    return std::ranges::any_of(node.unknown, [&](const wire::UnknownKey& key) {
      return key.issuer == "https://tts.example" && key.kid == others[0].kid;
    });
  }));
  const std::string keys = node.asked(*node.embedded, "gate/keys", {});
  CHECK(keys == node.asked(*node.host.pdp, "gate/keys", {}));
  const auto document = parse_json(keys);
  REQUIRE_MESSAGE(document, keys);
  CHECK(document->at("name") == "txn");
  CHECK(document->at("ledger") == "issuers");
  CHECK(document->at("version") == 7);
}

TEST_CASE(
    "a node without rules verifies nothing, and one with a lane that it never heard neither") {
  const std::vector<Signer> known = signers("k");
  const std::string token = token_of(known[0], good_claims());
  Node off(key_document(known), nullptr);
  CHECK(off.of_both("gate/verdicts", {token}) == json::array{"refused"});
  CHECK(off.of_both("gate/states", {token}) == json::array{"off"});
  const rego::TxnRules with_lane{.keys = "txn", .audience = "domain.example", .has_lane = true};
  Node lane(key_document(known), &with_lane);
  CHECK(lane.of_both("gate/verdicts", {token}) == json::array{"refused"});
}

TEST_CASE("what the agent has counted reaches the embedded engine alone") {
  const std::vector<Signer> known = signers("k");
  Node node(key_document(known));
  const std::string token = token_of(known[0], good_claims());
  const std::string input = json::serialize(json::object{{"tokens", {token}}});
  pdp::Question question{.path = {"gate", "seen"}};
  question.inputs.push_back(Bytes(input));
  question.presented = {R"({"97053963-771d-49cc-a4e3-20aad399c312":4,"other":9})"};
  asio::thread_pool callers(1);
  const auto decided =
      asio::co_spawn(callers, node.embedded->evaluate(question), asio::use_future).get();
  REQUIRE(decided);
  REQUIRE(decided->front());
  CHECK((*decided->front()).value == Bytes("4"));
  CHECK(node.asked(*node.embedded, "gate/seen", {token}) == "undefined");
  CHECK(node.asked(*node.host.pdp, "gate/seen", {token}) == "undefined");
}

}  // namespace
}  // namespace notp
