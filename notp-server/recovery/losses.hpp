// What the registry has lost, as far as nodes have shown it, and what is held up because of it.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/recovery/held_check.hpp"
#include "notp-server/recovery/lost_releases.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/registry/restored_mark.hpp"
#include "notp-server/trust/root_store.hpp"
#include "protocol/wire/messages/recovery.hpp"

namespace notp::recovery {

// By ledger and version: no release in between was held when a person gave them up, so that the
// version may follow this head, or a later one.
using GivenUp = std::map<model::LedgerId, std::map<uint64_t, uint64_t>>;

// Thread-safe; from memory. The registry and the roots outlive it.
class Losses {
 public:
  Losses(const registry::Registry& registry, const trust::RootStore& roots,
         std::optional<registry::RestoredMark> mark)
      : registry_(registry), roots_(roots), mark_(mark), is_quiet_(!mark) {}

  // --- what is held up: as in Recovery

  Result<void> may_publish(const model::LedgerId& ledger) const;
  bool attests(const model::LedgerId& ledger) const;
  Result<void> may_publish_root() const;

  // --- what nodes say

  struct TakenIn {
    uint64_t newest = 0;        // the newest signed version in the answer that is kept in mind
    std::vector<Error> faults;  // what does not verify
  };
  // Verifies a node's answer, and remembers what is true.
  TakenIn take_in(const wire::Held& held, uint64_t session, const std::string& identity);
  void session_ended(uint64_t session);

  // --- what is to be done

  uint64_t head_of(const model::LedgerId& ledger) const;  // its version; 0: there is none
  std::optional<registry::RestoredMark> mark() const;
  void set_mark(std::optional<registry::RestoredMark> mark);
  // Only for what is said: a recovery is under way.
  void set_running(bool is_running);
  uint64_t newest_root() const;  // that is here, or that a node has shown
  std::vector<trust::VerifiedRoot> lost_roots() const;
  RootWindow window() const;
  // The ledgers of which releases are lost, or that are forked.
  std::vector<model::LedgerId> ledgers();
  // The ledgers of which releases are lost, and none is kept in mind: nodes are to be asked again.
  std::vector<model::LedgerId> unlisted();
  // The next release of the ledger that is to be fetched; nullopt: there is none now. kUnavailable:
  // no open session holds it, or the one before it.
  Result<std::optional<LostRelease>> next_release(const model::LedgerId& ledger,
                                                  const GivenUp& given_up);
  // The numbers of the sessions that hold the release.
  std::set<uint64_t> holders_of(const trust::ReleaseRef& release) const;
  // What statements of this registry list as withdrawn, with the time of the newest of them.
  using Withdrawn = std::map<model::LedgerId, std::map<Hash, TimeMs>>;
  Withdrawn withdrawn() const;
  // Nothing is lost that could come back.
  bool is_whole();
  // Everything above the head that no open session holds now: "ledger v43, v44", one for each
  // ledger.
  std::vector<std::string> missing() const;
  GivenUp give_up_missing() const;

  // --- what is shown

  // RECOVERED when nothing of it is lost.
  wire::RecoveryRow row(const model::LedgerId& ledger) const;
  struct Facts {
    bool is_restored = false;  // and not confirmed
    bool has_lost_root = false;
    std::vector<std::pair<model::LedgerId, uint64_t>> lost;  // known lost releases by ledger
    std::vector<model::LedgerId> forked;
  };
  Facts facts() const;

 private:
  bool has_lost_releases(const LostLedger& ledger) const;
  bool is_forked(const model::LedgerId& id, const LostLedger& ledger) const;
  // The head is not known to be the newest release.
  bool is_lost(const model::LedgerId& ledger) const NOTP_REQUIRES(mutex_);
  // What would be published could be taken for something that exists.
  bool is_held_up(const model::LedgerId& ledger) const NOTP_REQUIRES(mutex_);
  bool has_lost_root() const NOTP_REQUIRES(mutex_);
  uint64_t known_root() const NOTP_REQUIRES(mutex_);
  Error why_lost(const model::LedgerId& ledger) const NOTP_REQUIRES(mutex_);
  void prune() NOTP_REQUIRES(mutex_);

  void take_in_roots(const wire::Held& held, const std::string& identity,
                     std::vector<Error>& faults);
  uint64_t take_in_releases(const wire::Held& held, uint64_t session, const std::string& identity,
                            const RootWindow& roots, std::vector<Error>& faults);
  void take_in_statement(const wire::Held& held, const RootWindow& roots,
                         std::vector<Error>& faults);
  void log_news(LostReleases::News news, const model::LedgerId& ledger, const std::string& identity)
      NOTP_REQUIRES(mutex_);

  const registry::Registry& registry_;
  const trust::RootStore& roots_;

  mutable Mutex mutex_;
  std::optional<registry::RestoredMark> mark_ NOTP_GUARDED_BY(mutex_);
  bool is_running_ NOTP_GUARDED_BY(mutex_) = false;
  LostReleases lost_ NOTP_GUARDED_BY(mutex_){registry_};
  std::vector<trust::VerifiedRoot> lost_roots_ NOTP_GUARDED_BY(mutex_);  // follow the newest one
  std::set<model::LedgerId> logged_ NOTP_GUARDED_BY(mutex_);             // as lost
  Withdrawn withdrawn_ NOTP_GUARDED_BY(mutex_);
  size_t withdrawn_count_ NOTP_GUARDED_BY(mutex_) = 0;
  std::atomic<bool> is_quiet_;  // nothing is held up: answered without the mutex
};

}  // namespace notp::recovery
