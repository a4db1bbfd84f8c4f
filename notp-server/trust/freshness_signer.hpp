// Signs, with the registry's online key, which releases are current. The key can attest only
// releases that publishers signed.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <utility>

#include "common/atomic_shared.hpp"
#include "common/limits.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/trust/root_store.hpp"
#include "protocol/session/ports.hpp"

namespace notp::trust {

struct FreshnessOptions {
  std::filesystem::path private_key;  // Ed25519, PKCS #8 PEM; empty: this registry signs nothing
  TimeMs interval_ms = limits::kFreshnessIntervalMs;
  TimeMs lifetime_ms = limits::kFreshnessLifetimeMs;  // of a statement
};

enum class FreshnessKeyState : uint8_t {
  kOff,      // the root names no freshness key
  kSigning,  // this registry's key is the root's
  kMissing,  // the root names a key, and this registry has none
  kOther,    // this registry's key is not the root's
};

// "off", "signing", "missing", "other": for logs and health.
std::string_view freshness_key_state_name(FreshnessKeyState state);

// Thread-safe. `registry` and `roots` outlive it.
class FreshnessSigner final : public session::FreshnessSource {
 public:
  // Whether the head of a ledger is the newest release, as far as is known. Thread-safe; from
  // memory.
  using Attests = std::function<bool(const model::LedgerId&)>;

  // Without `attests` every head is the newest.
  FreshnessSigner(const registry::Registry& registry, const RootStore& roots, Attests attests = {})
      : registry_(registry), roots_(roots), attests_(std::move(attests)) {}

  // Loads the key and sets the options, also while sessions sign. Returns whether the key changed.
  // On an error nothing changes. kNotFound, kIo, kConfig.
  Result<bool> configure(const FreshnessOptions& options);

  bool enabled() const override { return !roots_.current()->freshness_keys.empty(); }
  bool attests(const model::LedgerId& ledger) const override {
    return !attests_ || attests_(ledger);
  }
  TimeMs interval_ms() const override { return using_.get()->options.interval_ms; }
  // kConfig when this registry's key is not the root's; kLimit when no sequence is left: another
  // signer has signed for this reader, and only a new freshness key resolves that.
  Result<std::pair<Freshness, Bytes>> sign(Freshness listed, uint64_t sequence_min,
                                           Now now) const override;
  bool holds(const Freshness& statement) const override;
  // As above.
  Result<std::pair<Assignment, Bytes>> sign(Assignment assigned, uint64_t sequence_min,
                                            Now now) const override;

  FreshnessKeyState key_state() const { return state_of(*roots_.current(), *using_.get()); }
  // Logs the key's state if it has changed since the last call.
  void log_key_state() const;
  // Statements that were signed, those among them for a class, and assignments.
  uint64_t signed_total() const { return signed_; }
  uint64_t class_signed_total() const { return class_signed_; }
  uint64_t assigned_total() const { return assigned_; }

 private:
  struct Using {
    FreshnessOptions options;
    std::shared_ptr<const PrivateKey> key;  // null: none
    PublicKey public_key;
  };

  static FreshnessKeyState state_of(const Root& root, const Using& in_use);
  // Fills in what both kinds of statements have, except for their end; returns what signs it.
  template <typename Statement>
  Result<std::shared_ptr<const Using>> issue(Statement& statement, uint64_t sequence_min,
                                             Now now) const;

  const registry::Registry& registry_;
  const RootStore& roots_;
  const Attests attests_;
  AtomicShared<Using> using_{std::make_shared<const Using>()};
  mutable std::atomic<FreshnessKeyState> logged_{FreshnessKeyState::kOff};
  mutable std::atomic<uint64_t> signed_{0}, class_signed_{0}, assigned_{0};
};

}  // namespace notp::trust
