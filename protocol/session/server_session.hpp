// The registry's end of a session: grants wants, chooses bases, offers artifacts, pushes what is
// published, tells of new roots, vouches for the heads, takes publishes and queries.
// protocol/README.md, "Flows".
#pragma once

#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/delta/inventory.hpp"
#include "protocol/session/link.hpp"
#include "protocol/session/shorthand.hpp"
#include "protocol/session/upload.hpp"
#include "protocol/trust/statements.hpp"

namespace notp {

// A root with its version. The envelope is verbatim.
struct CatalogRoot {
  uint64_t version = 0;
  Content envelope;
  // It names another freshness key than the root before it: sequences count anew.
  bool new_freshness_key = false;
};

// What the registry can offer. Answers from memory; thread-safe.
class Catalog {
 public:
  virtual ~Catalog() = default;
  // nullopt: the ledger has no release, or it is damaged.
  virtual std::optional<ReleaseRef> head(const LedgerId& ledger) const = 0;
  virtual std::optional<ReleaseRef> release(const LedgerId& ledger, uint64_t version) const = 0;
  // A release that waits for signatures.
  virtual std::optional<ReleaseRef> pending(const LedgerId& ledger, uint64_t version,
                                            const Hash& release_hash) const = 0;
  // The roots above `version`, oldest first, at most kRootStepsMax.
  virtual std::vector<CatalogRoot> roots_after(uint64_t version) const = 0;
  virtual uint64_t newest_root() const = 0;
  // Why nothing of a ledger that is there can be served, for the peer; nullopt: it can be, or there
  // is none.
  virtual std::optional<Error> damage(const LedgerId&) const { return std::nullopt; }
};

// Who signs for the registry that its heads are the newest. Answers from memory; thread-safe.
class FreshnessSource {
 public:
  virtual ~FreshnessSource() = default;
  // Does the newest root name a freshness key?
  virtual bool enabled() const = 0;
  // How long a statement stands on an open session until it is renewed.
  virtual TimeMs interval_ms() const = 0;
  // A statement of the heads of `ledgers`, each once, for the reader `audience`, with a
  // sequence of at least `sequence_min`, and its signature. The source itself says why when it
  // cannot sign: a session goes on without.
  virtual Result<std::pair<Freshness, Bytes>> sign(std::vector<LedgerId> ledgers,
                                                   std::string audience, uint64_t sequence_min,
                                                   Now now) const = 0;
};

enum class Action : uint8_t {
  kRead,
  kPublish,
  kFleet,   // see what every node runs
  kTrust,   // publish a root
  kEnroll,  // let a new node in
  kReview,  // see what waits for signatures
  kRenew,   // get the next certificate of one's own identity
};

// The rights of the peer of one session, looked up at every use so that a change takes effect at
// once.
class SessionRights {
 public:
  virtual ~SessionRights() = default;
  // kDenied with who, what and whom to ask. `ledger` is null where the action is about none.
  virtual Result<void> may(Action action, const LedgerId* ledger) const = 0;
};

// What was made for an ArtifactNeeded.
struct PreparedArtifact {
  Hash id;
  uint32_t effort = 0;
  Content bytes;
  // The base is a part of what the peer holds.
  std::optional<wire::PartialBase> partial;
};

struct ServerIntroduction {
  std::string server;
  std::string trust_domain;
  std::string peer;  // the identity at the other end: the audience of freshness statements
};

namespace server_event {
struct Greeted {
  std::string agent;
  std::vector<LedgerId> ledgers;  // granted
};
// The host computes or finds the artifact and answers with artifact_ready().
struct ArtifactNeeded {
  uint64_t ticket = 0;
  LedgerId ledger;
  uint64_t base_version = 0;  // 0: no release that is known
  uint64_t version = 0;
  Hash pending_hash;     // zero: it is published; else of the release that waits for signatures
  std::set<Hash> lacks;  // contents of the base that the peer cannot read
  std::optional<Inventory> inventory;  // what the peer holds, where base_version is 0
  Hash resume;                         // the artifact whose front the peer has; zero: none
};
struct Committed {
  wire::Commit commit;  // never short, with its freshness
};
// A freshness statement went out.
struct Vouched {
  Freshness freshness;
};
struct PublishArrived {
  wire::Publish publish;
  std::unique_ptr<notp::Upload> artifact;
};
struct Asked {
  wire::Query query;
};
// A right that is missing, or a ledger that cannot be served: the session goes on, the host logs
// it.
struct Refused {
  Error error;
};
// An answer or another message broke a limit; the peer was told INTERNAL instead.
struct Unsendable {
  Error error;
};
struct Closed {
  Error error;
};
}  // namespace server_event

using ServerEvent =
    std::variant<server_event::Greeted, server_event::ArtifactNeeded, server_event::Committed,
                 server_event::Vouched, server_event::PublishArrived, server_event::Asked,
                 server_event::Refused, server_event::Unsendable, server_event::Closed>;

class ServerSession final : public SessionLink {
 public:
  // `catalog`, `rights`, `freshness` and `uploads` outlive the session. `freshness` may be null:
  // nothing is vouched for; so may `uploads`: MemoryUploads.
  ServerSession(const Catalog& catalog, const SessionRights& rights,
                const FreshnessSource* freshness, ServerIntroduction introduction, Now now,
                UploadSpace* uploads = nullptr);

  std::vector<ServerEvent> take_events() { return std::exchange(events_, {}); }

  // One of these two, once for each ArtifactNeeded.
  void artifact_ready(uint64_t ticket, Result<PreparedArtifact> artifact);
  // Its inventory is a sketch that cannot be read.
  void inventory_unclear(uint64_t ticket);
  // The head of a ledger moved: pushes it to a peer that subscribed and whose base is known.
  void head_changed(const LedgerId& ledger);
  // The catalog has a new root: sends it, and soon a statement under it.
  void roots_changed(Now now);
  // What is vouched for changed, as by a withdrawal: the next statement goes out within
  // kFreshnessSoonMs, spread so that a fleet does not ask for all signatures at once.
  void freshness_due_now(Now now);
  void publish_done(wire::PublishResult result) { send(std::move(result)); }
  // Once for each Asked.
  void answer(wire::Answer answer);

 private:
  // What is known of the peer's copy of one ledger.
  struct Subscription {
    LedgerId ledger;
    std::optional<uint64_t> base;   // version that the peer holds and that the catalog knows
    std::vector<uint64_t> older;    // versions that it holds besides, newest first
    std::set<Hash> lacks;           // contents that it cannot read
    bool inventory_asked = false;   // nothing is offered before it has come
    bool inventory_listed = false;  // the next one must not be a sketch
    std::optional<wire::ResumeToken> resume;
    uint64_t target = 0;   // offered or about to be, until its Commit; 0: nothing under way
    uint64_t refused = 0;  // the peer would not store this one: no second offer of it
    uint64_t ticket = 0;   // of the ArtifactNeeded under way
  };
  // An artifact for a Want of one certain release, which does not subscribe.
  struct OneShot {
    LedgerId ledger;
    uint64_t base = 0;
    uint64_t version = 0;
    Hash pending_hash = {};  // zero: it is published
  };
  struct Arriving {
    wire::Publish publish;
    std::unique_ptr<Upload> upload;
    TimeMs since_ms = 0, last_ms = 0;  // boot time of its announcement, and of its last bytes
    uint64_t received = 0;
  };

  Result<void> on_message(wire::Message&& message, Now now) override;
  void on_closed(const Error& error, uint32_t retry_after_ms, Now now) override;
  void on_unsendable(const Error& error) override;
  TimeMs transfer_waiting_since() const override;
  TimeMs own_deadline() const override { return freshness_deadline_; }
  void on_own_deadline(Now now) override;

  Result<void> on_hello(wire::Hello&& hello, Now now);
  Result<void> on_want_more(wire::WantMore&& more, Now now);
  Result<void> on_commit(wire::Commit&& commit);
  Result<void> on_inventory(wire::Inventory&& inventory);
  Result<void> on_publish(wire::Publish&& publish, Now now);
  Result<void> on_chunk(const wire::Chunk& chunk, Now now);
  Result<void> on_query(wire::Query&& query);
  // kDenied; kOverloaded when kQueriesPerSessionMax wait for their answer already.
  Result<void> may_ask(const wire::Query& query) const;

  // Grants or refuses one want; heads and refusals go into `welcome`.
  void grant(wire::Want&& want, wire::Welcome& welcome);
  // kLimit when one more want would let a peer hold more than a session may cost.
  Result<void> check_room(const wire::Want& want) const;
  void subscribe(const wire::Want& want);
  void offer_head(const LedgerId& ledger, Subscription& subscription);
  void offer_one(const wire::Want& want, wire::Welcome& welcome);
  void ask_inventory(const LedgerId& ledger, Subscription& subscription, bool listed);
  void send_inventory_requests();
  uint64_t need_artifact(server_event::ArtifactNeeded need);
  Subscription* waiting_for(uint64_t ticket);
  void artifact_failed(uint64_t ticket, const Error& error);
  // The offer of an artifact, on a free stream.
  Result<wire::Offer> make_offer(const OneShot& what, const PreparedArtifact& artifact) const;
  void send_offer(const wire::Offer& offer, Content artifact);
  std::optional<ReleaseRef> find(const OneShot& what) const;
  void finish_upload_if_complete(std::map<uint32_t, Arriving>::iterator upload);

  // Every root that the peer has not got. A statement or a release that rests on a root must not
  // come before it.
  void send_roots();
  // The ledgers that are served. kDenied when the right to one was withdrawn.
  Result<std::vector<LedgerId>> vouched_ledgers() const;
  Result<void> send_freshness(Now now);
  // The next time at or after `boot_ms` that is this peer's own in the interval.
  TimeMs renewal_after(TimeMs boot_ms) const;

  const Catalog& catalog_;
  const SessionRights& rights_;
  const FreshnessSource* const freshness_;
  const ServerIntroduction introduction_;
  Shorthand shorthand_;
  std::map<LedgerId, Subscription> subscriptions_;
  std::map<uint64_t, OneShot> one_shots_;
  UploadSpace* const upload_space_;  // null: in memory
  std::map<uint32_t, Arriving> uploads_;
  std::vector<wire::InventoryRequest> inventory_requests_;  // to be sent
  std::vector<ServerEvent> events_;
  size_t preparing_ = 0;  // tickets that wait for their artifact
  size_t asked_ = 0;      // queries that wait for their answer
  uint64_t next_ticket_ = 1;
  uint64_t root_sent_ = 0;  // the newest root that the peer has
  size_t roots_sent_ = 0;   // in this session
  uint64_t sequence_ = 0;   // of the peer's last statement
  const uint64_t spread_;   // of this peer among all, for deadlines
  TimeMs freshness_deadline_ = kNever;
  std::optional<Freshness> last_freshness_;  // sent in this session
  bool greeted_ = false;
};

}  // namespace notp
