// Transaction tokens in the embedded engine, in the real OPA and by common/jose: one verdict.
#include <doctest/doctest.h>

#include "common/base64url.hpp"
#include "common/jose/signing_key.hpp"
#include "common/random.hpp"
#include "notp-client/decision/log_mask.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "notp-client/txn/verify/txn_check.hpp"
#include "tests/support/agent/ask_pdp.hpp"
#include "tests/support/agent/opa_host.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;
using jose::Algorithm;
using jose::SigningKey;

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

int64_t now_s() { return read_clock().wall_ms / 1000; }

struct Signer {
  std::string kid;
  SigningKey key;
};

std::vector<Signer> signers(const std::string& name) {
  std::vector<Signer> out;
  for (const Algorithm algorithm :
       {Algorithm::kEs256, Algorithm::kEs384, Algorithm::kEs512, Algorithm::kEdDsa})
    out.push_back({fmt::format("{}-{}", name, jose::algorithm_name(algorithm)),
                   SigningKey::generate(algorithm).value()});
  return out;
}

json::object key_document(const std::vector<Signer>& all) {
  json::array keys;
  for (const Signer& one : all) keys.push_back(one.key.public_jwk(one.kid).canonical());
  return {{"issuer", "https://tts.example"}, {"keys", keys}};
}

std::string signed_text(std::string_view header, std::string_view claims, const SigningKey& key) {
  const std::string input = to_base64url(header) + "." + to_base64url(claims);
  return input + "." + to_base64url(key.sign(input).value());
}

json::object header_of(const Signer& signer) {
  return {{"typ", "txntoken+jwt"},
          {"alg", jose::algorithm_name(signer.key.algorithm())},
          {"kid", signer.kid}};
}

// The draft's example, but for its domain.
json::object good_claims() {
  return {{"iss", "https://tts.example"},
          {"iat", now_s() - 10},
          {"exp", now_s() + 200},
          {"aud", "domain.example"},
          {"txn", "97053963-771d-49cc-a4e3-20aad399c312"},
          {"sub", "d084sdrt234fsaw34tr23t"},
          {"scope", "trade.stocks"},
          {"req_wl", "spiffe://domain.example/ns/shop/sa/gateway"},
          {"tctx", {{"action", "BUY"}, {"ticker", "MSFT"}, {"quantity", 100.25}}},
          {"rctx", {{"req_ip", "69.151.72.123"}, {"authn", "urn:ietf:rfc:6749"}}}};
}

std::string token_of(const Signer& signer, const json::object& claims) {
  return signed_text(json::serialize(header_of(signer)), json::serialize(claims), signer.key);
}

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
  // The answer of both.
  json::array of_both(std::string_view path, const std::vector<std::string>& tokens) {
    const auto own = parse_json(asked(*embedded, path, tokens));
    const auto opa = parse_json(asked(*host.pdp, path, tokens));
    REQUIRE_MESSAGE(own, asked(*embedded, path, tokens));
    REQUIRE_MESSAGE(opa, asked(*host.pdp, path, tokens));
    for (size_t i = 0; i < tokens.size(); ++i)
      CHECK_MESSAGE(own->at(i) == opa->at(i), tokens[i], ": embedded ", json::serialize(own->at(i)),
                    ", OPA ", json::serialize(opa->at(i)));
    return own->as_array();
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

struct Case {
  std::string name, token;
};

// One fault each, signed by the service's own key where a signature is no part of it: what io.jwt
// takes of it, this package must not.
std::vector<Case> hostile(const Signer& signer) {
  std::vector<Case> out;
  const json::object header = header_of(signer);
  const std::string head = json::serialize(header), body = json::serialize(good_claims());
  const std::string good = signed_text(head, body, signer.key);
  const auto add = [&](std::string name, std::string token) {
    out.push_back({std::move(name), std::move(token)});
  };
  const auto with_header = [&](std::string name, std::string_view member, json::value value) {
    json::object changed = header;
    changed[member] = std::move(value);
    add(std::move(name), signed_text(json::serialize(changed), body, signer.key));
  };
  const auto with_claim = [&](std::string name, std::string_view member, json::value value) {
    json::object changed = good_claims();
    changed[member] = std::move(value);
    add(std::move(name), signed_text(head, json::serialize(changed), signer.key));
  };
  const auto with_texts = [&](std::string name, std::string header_text, std::string claims_text) {
    add(std::move(name), signed_text(header_text, claims_text, signer.key));
  };

  for (const char* typ : {"at+jwt", "secevent+jwt", "JWT", "txn_token", "N_A", "", "TXNTOKEN+JWT",
                          "application/txntoken+jwt", "logout+jwt", "txntoken+jwt "})
    with_header(fmt::format("typ {}", typ), "typ", typ);
  with_header("typ is a list", "typ", json::array{"txntoken+jwt"});
  for (const char* name : {"typ", "alg", "kid"}) {
    json::object changed = header;
    changed.erase(name);
    with_texts(fmt::format("no {}", name), json::serialize(changed), body);
  }
  add("alg none",
      to_base64url(R"({"typ":"txntoken+jwt","alg":"none","kid":")" + signer.kid + "\"}") + "." +
          to_base64url(body) + ".");
  add("alg none with a signature",
      signed_text(R"({"typ":"txntoken+jwt","alg":"none","kid":")" + signer.kid + "\"}", body,
                  signer.key));
  for (const char* alg : {"HS256", "RS256", "PS256", "Ed25519", "es256", "ES256K"})
    if (alg != jose::algorithm_name(signer.key.algorithm()))
      with_header(fmt::format("alg {}", alg), "alg", alg);
  {  // a shared secret that everybody has: the public key
    json::object changed = header;
    changed["alg"] = "HS256";
    const std::string input = to_base64url(json::serialize(changed)) + "." + to_base64url(body);
    const std::string secret = json::serialize(signer.key.public_jwk(signer.kid).canonical());
    add("HS256 with the public key",
        input + "." + to_base64url(decision::hmac_sha256(secret, input)));
  }
  with_header("a kid of nobody", "kid", "nobody");
  with_header("an empty kid", "kid", "");
  with_header("a number for a kid", "kid", 7);
  with_header("crit of its own", "crit", json::array{"x"});
  with_header("crit that OPA knows", "crit", json::array{"kid"});
  with_header("b64", "b64", true);
  with_header("zip", "zip", "DEF");
  with_header("enc", "enc", "A128GCM");
  with_header("cty", "cty", "txt");
  {  // a token in a token
    json::object outer = header;
    outer["cty"] = "JWT";
    with_texts("nested", json::serialize(outer), good);
    outer["typ"] = "JWT";
    with_texts("nested in another type", json::serialize(outer), good);
    outer["cty"] = "jwt";
    with_texts("nested, in small letters", json::serialize(outer), good);
  }
  for (const char* name : {"aud", "iat", "exp", "txn", "sub", "scope", "req_wl"}) {
    json::object changed = good_claims();
    changed.erase(name);
    with_texts(fmt::format("without {}", name), head, json::serialize(changed));
    with_claim(fmt::format("{} null", name), name, nullptr);
    with_claim(fmt::format("{} true", name), name, true);
    with_claim(fmt::format("{} an object", name), name, json::object{{"a", 1}});
    with_claim(fmt::format("{} empty", name), name, "");
    with_claim(fmt::format("{} a list", name), name, json::array{"domain.example"});
  }
  for (const char* name : {"tctx", "rctx"}) {
    with_claim(fmt::format("{} a text", name), name, "x");
    with_claim(fmt::format("{} a list", name), name, json::array());
    with_claim(fmt::format("{} null", name), name, nullptr);
  }
  with_claim("iss a number", "iss", 1);
  with_claim("jti a number", "jti", 1);
  with_claim("nbf a text", "nbf", "1");
  with_claim("nbf null", "nbf", nullptr);
  with_claim("not yet", "nbf", now_s() + 100);
  with_claim("nbf before 1970", "nbf", -1);
  with_claim("another domain", "aud", "other.example");
  with_claim("two domains", "aud", json::array{"domain.example", "other.example"});
  with_claim("expired", "exp", now_s() - 5);
  with_claim("issued too far ahead", "iat", now_s() + 100);
  with_claim("lives too long", "exp", now_s() + 600);
  with_claim("iat before 1970", "iat", -1);
  with_claim("exp a text", "exp", "9999999999");
  {
    json::object far = good_claims();
    far["iat"] = 253'402'300'700;
    far["exp"] = 253'402'300'900;
    with_texts("after the year 9999", head, json::serialize(far));
  }
  // JSON that readers see differently; the last member counts for OPA.
  const auto in_claims = [&](std::string name, std::string_view more) {
    with_texts(std::move(name), head,
               fmt::format("{},{}}}", body.substr(0, body.size() - 1), more));
  };
  in_claims("sub twice", R"("sub":"root")");
  in_claims("sub twice, once escaped", R"("\u0073ub":"root")");
  in_claims("a name twice deep inside", R"("x":{"a":[{"b":1,"b":2}]})");
  in_claims("an exponent of four digits", R"("x":1e4000)");
  in_claims("an exponent beyond all", R"("x":1e99999999999)");
  in_claims("a small exponent of many digits", R"("x":1e-00001)");
  in_claims("a number beyond a double", R"("x":1e999)");
  in_claims("a number beyond 64 bits", R"("x":18446744073709551616)");
  in_claims("a negative number beyond 64 bits", R"("x":-9223372036854775809)");
  in_claims("half a surrogate pair", R"("x":"\ud800")");
  in_claims("the replacement character", "\"x\":\"\xEF\xBF\xBD\"");
  in_claims("the replacement character, escaped", R"("x":"\uFffD")");
  in_claims("not UTF-8", "\"x\":\"\xFF\"");
  in_claims("17 levels", "\"x\":" + std::string(16, '[') + std::string(16, ']'));
  in_claims("1,000 levels", "\"x\":" + std::string(1'000, '[') + std::string(1'000, ']'));
  in_claims("10,000 levels", "\"x\":" + std::string(10'000, '[') + std::string(10'000, ']'));
  with_texts("alg twice", fmt::format(R"({{"alg":"none",{})", head.substr(1)), body);
  with_texts("kid twice", fmt::format(R"({{"kid":"x",{})", head.substr(1)), body);
  with_texts("text behind the claims", head, body + " x");
  with_texts("two claims sets", head, body + body);
  with_texts("a list for claims", head, "[" + body + "]");
  with_texts("a byte order mark", head, "\xEF\xBB\xBF" + body);
  with_texts("a header that is a list", "[" + head + "]", body);
  in_claims("8 KiB", fmt::format("\"x\":\"{}\"", std::string(8'192, 'x')));
  // The compact form.
  const size_t first = good.find('.'), second = good.rfind('.');
  add("empty", "");
  add("dots", "..");
  add("two parts", good.substr(0, second));
  add("four parts", good + ".x");
  add("no signature", good.substr(0, second + 1));
  add("padded signature", good + "==");
  add("a newline in the signature", good.substr(0, second + 5) + "\n" + good.substr(second + 5));
  add("a space behind it", good + " ");
  add("a newline before it", "\n" + good);
  {
    const auto padded = [](std::string part) {
      while (part.size() % 4 != 0) part += '=';
      return part;
    };
    const std::string input = to_base64url(head + " ") + "=." + to_base64url(body);
    add("a padded header", padded(to_base64url(head + " ")) + "." + to_base64url(body) + "." +
                               to_base64url(signer.key.sign(input).value()));
    const std::string folded = to_base64url(head).insert(4, "\r\n") + "." + to_base64url(body);
    add("a folded header", folded + "." + to_base64url(signer.key.sign(folded).value()));
    const std::string standard = to_base64url(head) + "." + to_base64url(body + "  ") + "+";
    add("the other alphabet", standard + "." + to_base64url(signer.key.sign(standard).value()));
  }
  if (signer.key.algorithm() != Algorithm::kEs384) {  // its signatures fill whole characters
    std::string changed = good;                       // bits that no byte has
    const std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    changed.back() = alphabet[alphabet.find(changed.back()) ^ 1];
    add("spare bits of the signature", changed);
  }
  {
    std::string changed = good;
    changed[first + 8] = changed[first + 8] == 'A' ? 'B' : 'A';
    add("changed claims", changed);
  }
  return out;
}

TEST_CASE("hostile tokens are refused by both engines and by the agent") {
  const std::vector<Signer> all = signers("k");
  Node node(key_document(all));
  size_t refused = 0, taken_by_jwt = 0;
  std::vector<std::string> of_jwt;
  for (const Signer& signer : all) {
    std::vector<Case> cases = hostile(signer);
    std::vector<std::string> tokens;
    for (const Case& one : cases) tokens.push_back(one.token);
    tokens.push_back(token_of(signer, good_claims()));
    const json::array verdicts = node.of_both("gate/verdicts", tokens);
    const auto plain = parse_json(node.asked(*node.host.pdp, "gate/plain", tokens));
    REQUIRE(plain);
    for (size_t i = 0; i < cases.size(); ++i) {
      CHECK_MESSAGE(verdicts[i] == "refused", cases[i].name, ": ", json::serialize(verdicts[i]));
      CHECK_MESSAGE(!node.is_taken_here(tokens[i]), cases[i].name);
      refused += verdicts[i] == "refused" ? 1 : 0;
      if (plain->at(i) == json::array{true}) {
        ++taken_by_jwt;
        of_jwt.push_back(cases[i].name);
      }
    }
    CHECK(verdicts.back() == good_claims());
    CHECK(node.is_taken_here(tokens.back()));
  }
  MESSAGE(refused, " refused; io.jwt.decode_verify alone takes ", taken_by_jwt);
  // The control: without this package the typ, and much else, is not looked at.
  CHECK(std::ranges::find(of_jwt, "typ at+jwt") != of_jwt.end());
  CHECK(std::ranges::find(of_jwt, "sub twice") != of_jwt.end());
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
      const auto plain = parse_json(node.asked(*node.embedded, "gate/plain", tokens));
      REQUIRE(plain);
      for (size_t i = 0; i < tokens.size(); ++i) {
        const bool is_taken = verdicts[i] != "refused";
        const bool is_same = is_taken == node.is_taken_here(tokens[i]);
        CHECK_MESSAGE(is_same, tokens[i], " of round ", round, ": engines ", is_taken);
        different += is_same ? 0 : 1;
        taken += is_taken ? 1 : 0;
        over += !is_taken && plain->at(i) == json::array{true} ? 1 : 0;
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
