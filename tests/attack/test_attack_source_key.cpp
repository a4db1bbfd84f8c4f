// The thief of a source key, with the registry that holds it: the key signs key sets of providers
// and nothing else, whatever the registry says. Everything that it sends arrives.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>

#include "tests/attack/attacked_agent.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace notp::attack {
namespace {

constexpr uint8_t kSourceKey = 31;
const model::LedgerId kLogin{100'000'000'000, "login-keys"};

using Roots = std::vector<std::string>;

std::string key_set(uint64_t version, const std::string& more = "") {
  return fmt::format(
      R"({{"issuer":"https://login.example","keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k{}","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"{}}}]}})",
      version, more);
}

const Roots kOwn = {"keys/login"};

samples::Texts honest_keys(uint64_t version) {
  return {{"manifest.json", manifest(kOwn)}, {"keys/login/data.json", key_set(version)}};
}

// The domain with a delegation for keys in front of the others.
struct Setting {
  explicit Setting(Roots data_roots) : root(domain.next_root()) {
    root.delegations.insert(root.delegations.begin(), {"100000000000/login-keys",
                                                       {key(kSourceKey).public_key()},
                                                       1,
                                                       trust::ContentRule::kKeys,
                                                       std::move(data_roots)});
    Hash previous;
    for (uint64_t version = 1; version <= 3; ++version) {
      honest.push_back(release(kLogin, version, previous, honest_keys(version), kOwn));
      previous = honest.back().hash;
    }
  }

  SignedRelease release(const model::LedgerId& ledger, uint64_t version, const Hash& previous,
                        const samples::Texts& files, Roots owned,
                        const std::function<void(trust::Release&)>& change = {}) const {
    model::ModelContent content = samples::model_of(files);
    trust::Release release =
        release_of(ledger, version, previous, content, kStartMs + static_cast<TimeMs>(version));
    release.data_roots = std::move(owned);
    if (change) change(release);
    return seal(std::move(release), std::move(content), {kSourceKey});
  }
  // As the second release of the ledger of keys.
  SignedRelease evil(const samples::Texts& files, Roots owned = kOwn,
                     const std::function<void(trust::Release&)>& change = {}) const {
    return release(kLogin, 2, honest[0].hash, files, std::move(owned), change);
  }
  // The registry's freshness key is stolen, too: it vouches for the release.
  void attest(AttackedAgent& agent, uint64_t sequence, const SignedRelease& head) const {
    trust::Freshness freshness = domain.freshness(kAttackedNode, sequence, agent.now().wall_ms,
                                                  {{kGateway, 2}, {kPayments, 2}});
    freshness.root_version = root.version;
    std::erase_if(freshness.heads,
                  [&](const trust::FreshHead& each) { return each.ledger == kLogin; });
    freshness.heads.insert(freshness.heads.begin() + 1,
                           {kLogin, head.release.epoch, head.release.version, head.hash, {}});
    freshness.heads.push_back({kLab, 0, 0, {}, {}});
    agent.send_freshness(freshness, sealed(freshness, {keys::kFreshness}));
  }

  const Domain domain;
  trust::Root root;
  std::vector<SignedRelease> honest;
};

using Evil = std::function<SignedRelease(const Setting&)>;
struct Attack {
  std::string_view name;
  ErrorCode code;
  Evil release;
};

Evil with(samples::Texts more, Roots owned = kOwn) {
  return [more = std::move(more), owned = std::move(owned)](const Setting& s) {
    samples::Texts files = honest_keys(2);
    files["manifest.json"] = manifest(owned);
    for (const auto& [path, text] : more) files[path] = text;
    return s.evil(files, owned);
  };
}

Evil manifest_with(std::string more) { return with({{"manifest.json", manifest(kOwn, more)}}); }

Evil statement_with(std::function<void(trust::Release&)> change) {
  return [change = std::move(change)](const Setting& s) {
    return s.evil(honest_keys(2), kOwn, change);
  };
}

const std::string kAllow = "package authz\n\nallow := true\n";
constexpr ErrorCode kContent = ErrorCode::kWrongTarget;

const std::vector<Attack> kAttacks = {
    // --- policies
    {"a policy", kContent, with({{"authz/allow.rego", kAllow}}, {"authz", "keys/login"})},
    {"a policy that no root announces", kContent, with({{"authz/allow.rego", kAllow}})},
    {"a policy in the folder of keys", kContent, with({{"keys/login/allow.rego", kAllow}})},
    {"a policy that says that it is a test", kContent,
     with({{"keys/login/allow_test.rego", kAllow}})},
    {"a policy below the folder of tests", kContent, with({{"tests/allow.rego", kAllow}})},
    // --- data
    {"data elsewhere", kContent,
     with({{"authz/data.json", R"({"users":["eve"]})"}}, {"authz", "keys/login"})},
    {"data elsewhere that no root announces", kContent,
     with({{"authz/data.json", R"({"users":["eve"]})"}})},
    {"data at the top", kContent, with({{"data.json", R"({"authz":{"users":["eve"]}})"}})},
    {"data at the top that ends in the root", kContent,
     with({{"data.json", R"({"keys":{"login":{"trusted":true}}})"}})},
    {"a mask of the decision log", kContent,
     with({{"system/log/data.json", R"({"drop":true})"}}, {"keys/login", "system/log"})},
    {"a document of the agent", kContent,
     with({{"system/notp/data.json", R"({"ledgers":{}})"}}, {"keys/login", "system/notp"})},
    {"a key set of an issuer that is not its own", kContent,
     with({{"keys/shop/data.json", key_set(2)}})},
    {"data in YAML", kContent, with({{"keys/login/data.yaml", "trusted: true"}})},
    {"data below the key set", kContent, with({{"keys/login/x/data.json", "{}"}})},
    // --- data roots
    {"the root of everything", kContent, with({}, {""})},
    {"no root", kContent, with({}, {})},
    {"a root that only the statement has", kContent,
     statement_with([](trust::Release& r) { r.data_roots = {"authz", "keys/login"}; })},
    {"the root of everything in the statement alone", kContent,
     statement_with([](trust::Release& r) { r.data_roots = {""}; })},
    {"no root in the statement", kContent,
     statement_with([](trust::Release& r) { r.data_roots.clear(); })},
    {"the root of another ledger", kContent,
     with({{"manifest.json", manifest({"payments"})}}, {"payments"})},
    // --- the manifest
    {"decisions that are not recorded", kContent,
     manifest_with(R"("decisions":{"drop":["keys/login"]})")},
    {"records without input", kContent, manifest_with(R"("decisions":{"mask":["/input"]})")},
    {"records that end soon", kContent, manifest_with(R"("decisions":{"retain_days":{"max":1}})")},
    {"a gate", kContent, manifest_with(R"("gate":{"replay":{}})")},
    {"another ledger used", kContent,
     manifest_with(R"("uses":[{"ledger":"100000000000/payments"}])")},
    {"another ledger used by the statement", kContent,
     statement_with([](trust::Release& r) { r.uses = {{kPayments, 1}}; })},
    {"capabilities", kContent, manifest_with(R"("capabilities":{"builtins":["http.send"]})")},
    {"a partition", kContent,
     with({{"manifest.json",
            manifest(kOwn, "", R"("/":{"runtime":"rego"},"/keys":{"runtime":"rego"})")}})},
    {"roots that the statement does not have", kContent,
     with({{"manifest.json", manifest({"authz", "keys/login"})}})},
    {"a manifest that is none", kContent, with({{"manifest.json", R"({"roots":["keys/login"]})"}})},
    {"no manifest", kContent,
     [](const Setting& s) { return s.evil({{"keys/login/data.json", key_set(2)}}); }},
    // --- keys
    {"a private key", kContent, with({{"keys/login/data.json", key_set(2, R"(,"d":"c2VjcmV0")")}})},
    {"a symmetric key", kContent,
     with({{"keys/login/data.json", R"({"keys":[{"kty":"oct","k":"c2VjcmV0"}]})"}})},
    {"data in the place of a key set", kContent,
     with({{"keys/login/data.json", R"({"users":["eve"]})"}})},
    // --- other ledgers
    {"the ledger of a person's publisher", ErrorCode::kSignature,
     [](const Setting& s) {
       const SignedRelease& head = s.domain.release(kPayments, 2);
       return s.release(kPayments, 3, head.hash,
                        {{"manifest.json", manifest({"payments"})}, {"payments/p.rego", kAllow}},
                        {"payments"});
     }},
    {"a key set in the ledger of a person's publisher", ErrorCode::kSignature,
     [](const Setting& s) {
       return s.release(kPayments, 3, s.domain.release(kPayments, 2).hash, honest_keys(2), kOwn);
     }},
    {"another zone", ErrorCode::kSignature,
     [](const Setting& s) { return s.release(kLab, 1, {}, honest_keys(1), kOwn); }},
    {"a neighbour's name", ErrorCode::kSignature,
     [](const Setting& s) {
       return s.release(kGateway, 3, s.domain.release(kGateway, 2).hash, honest_keys(2), kOwn);
     }},
};

// The node decides with release 1 of the keys.
void install_keys(const Setting& setting, AttackedAgent& agent) {
  agent.connect();
  agent.send_root(sealed(setting.root, {keys::kRoot1, keys::kRoot3}));
  agent.send_release(setting.honest[0]);
  setting.attest(agent, 6, setting.honest[0]);
  REQUIRE(agent.take_codes().empty());
  REQUIRE(agent.decides_with(kLogin, setting.honest[0]));
}

void run_attack(const Attack& attack, const Roots& data_roots, bool as_delta) {
  CAPTURE(attack.name);
  CAPTURE(data_roots.size());
  CAPTURE(as_delta);
  const Setting setting(data_roots);
  AttackedAgent agent(setting.domain, {kLogin, kLab});
  install_keys(setting, agent);
  const NodeState before = agent.state();

  const SignedRelease evil = attack.release(setting);
  if (as_delta && evil.release.ledger == kLogin)
    agent.send_release_on(setting.honest[0], evil);
  else
    agent.send_release(evil);
  CHECK(agent.take_codes().contains(attack.code));
  CHECK(agent.state() == before);
  // Nor does a restart take it, or a registry that vouches for it.
  agent.disconnect();
  agent.restart();
  agent.connect();
  agent.send_release(evil);
  agent.take_codes();
  CHECK(agent.state() == before);
  CHECK(agent.decides_with(kLogin, setting.honest[0]));
  CHECK(agent.decides_with(kPayments, setting.domain.release(kPayments, 2)));

  // The control: the next honest key set is installed, from the same registry.
  agent.disconnect();
  agent.connect();
  if (as_delta)
    agent.send_release_on(setting.honest[0], setting.honest[1]);
  else
    agent.send_release(setting.honest[1]);
  CHECK(agent.take_codes().empty());
  CHECK(agent.decides_with(kLogin, setting.honest[1]));
}

TEST_CASE("the thief of a source key gets nothing past a node but key sets") {
  size_t attacks = 0;
  for (const Attack& attack : kAttacks)
    for (const Roots& data_roots : {Roots{}, Roots{"keys/*"}, Roots{"*"}})
      for (const bool as_delta : {false, true}) {
        run_attack(attack, data_roots, as_delta);
        ++attacks;
      }
  MESSAGE(attacks, " attacks with a source key, 0 successes; ", attacks,
          " honest key sets installed after them");
}

TEST_CASE("without the rule for its content, the same key is a publisher's: the matrix can fail") {
  size_t installed = 0;
  for (const Attack& attack : kAttacks) {
    Setting setting({});
    setting.root.delegations.front().content = trust::ContentRule::kAny;
    AttackedAgent agent(setting.domain, {kLogin, kLab});
    install_keys(setting, agent);
    const SignedRelease evil = attack.release(setting);
    agent.send_release(evil);
    const auto stored = agent.state().stored[evil.release.ledger];
    installed += !stored.empty() && stored.front() == evil.hash ? 1 : 0;
  }
  // All of its own ledger that stay within their data roots.
  CHECK(installed == 23);
}

TEST_CASE("a root that restricts the content ends the trust in what the key signed before") {
  Setting loose({});
  loose.root.delegations.front().content = trust::ContentRule::kAny;
  AttackedAgent agent(loose.domain, {kLogin});
  install_keys(loose, agent);
  const SignedRelease policy =
      with({{"keys/login/allow.rego", "package keys.login\n\nallow := true\n"}})(loose);
  agent.send_release(policy);
  loose.attest(agent, 7, policy);
  REQUIRE(agent.take_codes().empty());
  REQUIRE(agent.decides_with(kLogin, policy));

  trust::Root strict = loose.root;
  strict.version = 4;
  strict.delegations.front().content = trust::ContentRule::kKeys;
  agent.send_root(sealed(strict, {keys::kRoot1, keys::kRoot2}));
  REQUIRE(agent.state().root_version == 4);
  // It stays in use, as what a removed key has signed, and is not vouched for any more: it ages.
  CHECK(agent.decides_with(kLogin, policy));
  for (int i = 0; i < 2; ++i) {
    CAPTURE(i);
    agent.advance((kFreshS + 1) * 1'000);
    agent.disconnect();
    if (i == 1) agent.restart();
    agent.connect();
    loose.attest(agent, 8 + static_cast<uint64_t>(i), policy);
    CHECK(agent.freshness_status(kLogin).state == trust::FreshnessState::kStale);
    CHECK(agent.freshness_status(kPayments).state == trust::FreshnessState::kFresh);
  }
  agent.advance(kHardS * 1'000);
  CHECK_FALSE(agent.serves(kLogin));

  // Key sets are vouched for: after a restart, too, which reads their content again.
  agent.disconnect();
  agent.connect();
  agent.take_codes();
  const SignedRelease keys = loose.release(kLogin, 3, policy.hash, honest_keys(3), kOwn);
  agent.send_release(keys);
  loose.attest(agent, 10, keys);
  CHECK(agent.take_codes().empty());
  REQUIRE(agent.decides_with(kLogin, keys));
  agent.advance((kFreshS + 1) * 1'000);
  agent.disconnect();
  agent.restart();
  agent.connect();
  loose.attest(agent, 11, keys);
  CHECK(agent.freshness_status(kLogin).state == trust::FreshnessState::kFresh);
  CHECK(agent.decides_with(kLogin, keys));
}

}  // namespace
}  // namespace notp::attack
