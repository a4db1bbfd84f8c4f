// The keys that sign Txn-Tokens: RingCore with its files, its clock, and its way to the registry.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/atomic_shared.hpp"
#include "common/jose/signing_key.hpp"
#include "common/json/json.hpp"
#include "common/mutex.hpp"
#include "notp-client/txn/keys/ring_core.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::txn {

struct KeyRingOptions {
  std::filesystem::path folder;  // of its own: files that it does not know are removed
  model::LedgerId ledger;        // to which the registry publishes the keys
  jose::Algorithm algorithm = jose::Algorithm::kEs256;  // of new keys
  TimeMs rotate_ms = 0;
};

// Called on the ring's executor.
struct KeyRingHooks {
  // Sends the request to the registry; its answer goes to on_answer(). False: there is no session.
  std::function<bool(const wire::Request&)> ask;
  // Tells the registry that it lacks a key of this issuer.
  std::function<void(const std::string& kid)> hint;
};

// One key, for as long as someone signs with it.
struct RingKey {
  std::string kid;
  jose::SigningKey key;
  mutable std::atomic<TimeMs> until_boot_ms = 0;  // of the tokens that it signed

  RingKey(std::string name, jose::SigningKey private_key)
      : kid(std::move(name)), key(std::move(private_key)) {}
};
using RingKeyPtr = std::shared_ptr<const RingKey>;

// Files in its folder: keys.json, and <kid>.pem of each key in it, with mode 0600. A key is in
// keys.json before its PEM is written, and leaves it before the PEM is removed: what a crash leaves
// is a record without a PEM or a PEM without a record, and the next start removes both.
//
// Thread-safe, unless stated otherwise. Writes small files on the thread of the caller.
class KeyRing : public std::enable_shared_from_this<KeyRing> {
 public:
  // kCorrupt, kIo, kConfig: a private key that others than its owner may read.
  static Result<std::shared_ptr<KeyRing>> open(boost::asio::any_io_executor executor,
                                               KeyRingOptions options, KeyRingHooks hooks);

  // Hooks are called from now on. On the executor's thread.
  void start();
  // No hook is called any more. On the executor's thread.
  void stop();

  // The key that signs; null: none may yet.
  RingKeyPtr current() const { return view_.get()->current; }
  // `key` has signed a token that lives so long. Once it was called for a key, it is called for
  // each of its tokens: the key is kept until they end, in place of the longest life of any token.
  static void signed_for(const RingKey& key, TimeMs life_ms, Now now);

  // All public keys (documents.hpp).
  json::object jwks() const { return view_.get()->jwks; }
  // [{"kid", "alg", "state", "usable", "made_ms", "used_ms", "retired_ms"}], oldest first; times
  // are Unix time, 0: not yet.
  json::array list() const;

  // This node decides with another release.
  void on_active(ActiveKeys active);
  // Ignores answers to requests that are not the ring's.
  void on_answer(const wire::Response& response);
  // Removes a key at once: when it returns, no restart brings it back. kNotFound. kIo: it is out of
  // use, and the disk does not take that; the message says what to do.
  Result<void> revoke(const std::string& kid);

 private:
  struct View {
    RingKeyPtr current;
    json::object jwks;
  };

  KeyRing(boost::asio::any_io_executor executor, KeyRingOptions options, KeyRingHooks hooks);
  Result<void> load() NOTP_REQUIRES(mutex_);
  Result<void> remove_strangers() const NOTP_REQUIRES(mutex_);

  // Runs the core's effects until there are none. Returns the first failure of the disk.
  Result<void> drive(Now now) NOTP_REQUIRES(mutex_);
  Result<void> run(const ring_effect::Make&, Now now) NOTP_REQUIRES(mutex_);
  Result<void> run(const ring_effect::Persist&, Now now) NOTP_REQUIRES(mutex_);
  Result<void> run(const ring_effect::Delete& effect, Now now) NOTP_REQUIRES(mutex_);
  Result<void> run(const ring_effect::Ask& effect, Now now) NOTP_REQUIRES(mutex_);
  Result<void> run(const ring_effect::Hint& effect, Now now) NOTP_REQUIRES(mutex_);
  Result<void> run(const ring_effect::Changed& effect, Now now) NOTP_REQUIRES(mutex_);
  Result<void> make(Now now) NOTP_REQUIRES(mutex_);
  Result<void> write_records(const std::vector<KeyRecord>& records) const;
  void show() NOTP_REQUIRES(mutex_);
  void arm(TimeMs deadline_boot_ms);
  std::filesystem::path pem_of(const std::string& kid) const;

  const boost::asio::any_io_executor executor_;
  const KeyRingOptions options_;
  const KeyRingHooks hooks_;
  mutable Mutex mutex_;
  std::optional<RingCore> core_ NOTP_GUARDED_BY(mutex_);
  std::map<std::string, RingKeyPtr> keys_ NOTP_GUARDED_BY(mutex_);  // by kid
  // The last question: its number, and the version that it is about.
  uint64_t request_ NOTP_GUARDED_BY(mutex_);
  uint64_t asked_version_ NOTP_GUARDED_BY(mutex_) = 0;  // 0: no answer is waited for
  TimeMs asked_boot_ms_ NOTP_GUARDED_BY(mutex_) = 0;
  bool asks_in_vain_ NOTP_GUARDED_BY(mutex_) = false;  // logged once while it lasts
  AtomicShared<View> view_;
  boost::asio::steady_timer timer_;  // on the executor
  bool started_ = false;             // likewise
};

}  // namespace notp::txn
