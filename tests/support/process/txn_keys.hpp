// Keys of a token service that is not there: tokens that a test signs, and the ledger of their
// keys.
#pragma once

#include <fmt/format.h>

#include "common/jose/signing_key.hpp"
#include "common/jose/token.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

inline const std::string kIssuers = "100000000000/issuers";
inline const std::string kIssuer = "https://tts.core-platform.internal";

// The manifest of a model in Rego with one root.
inline json::object manifest_of(const std::string& name, const std::string& root) {
  json::object manifest{
      {"metadata", {{"name", name}}},
      {"runtimes", {{"rego", {{"language", {{"name", "rego"}, {"version", "1"}}}}}}},
      {"partitions", {{"/", {{"runtime", "rego"}}}}}};
  manifest["roots"] = json::array{root};
  return manifest;
}

// One key of the service.
struct Signer {
  // Without a name its thumbprint is its number.
  explicit Signer(std::string name = {})
      : key(must(jose::SigningKey::generate(jose::Algorithm::kEs256))),
        kid(name.empty() ? key.public_jwk().thumbprint() : std::move(name)) {}

  std::string token(const std::string& txn, const std::string& typ = "txntoken+jwt") const {
    const int64_t now_s = read_clock().wall_ms / 1000;
    return must(jose::sign_token({{"typ", typ}, {"kid", kid}},
                                 {{"iss", kIssuer},
                                  {"iat", now_s},
                                  {"exp", now_s + 300},
                                  {"aud", kStackDomain},
                                  {"txn", txn},
                                  {"sub", "ana"},
                                  {"scope", "read pay"},
                                  {"req_wl", "spiffe://core-platform.internal/workload/shop"}},
                                 key));
  }

  jose::SigningKey key;
  std::string kid;
};

class KeyLedger {
 public:
  explicit KeyLedger(Stack& stack) : stack_(stack) {}

  // The ledger has these keys alone from now on.
  void publish(const std::vector<const Signer*>& signers) {
    json::array keys;
    for (const Signer* signer : signers)
      keys.push_back(signer->key.public_jwk(signer->kid).canonical());
    const std::filesystem::path folder = stack_.file("issuers");
    must(make_folders(folder / "keys/txn"));
    must(write_file(folder / "manifest.json", json::serialize(manifest_of("issuers", "keys/txn"))));
    must(write_file(folder / "keys/txn/data.json",
                    json::serialize(json::object{{"issuer", kIssuer}, {"keys", keys}})));
    REQUIRE(stack_.published(folder, kIssuers) == ++version_);
  }
  int64_t version() const { return version_; }

 private:
  Stack& stack_;
  int64_t version_ = 0;
};

}  // namespace notp
