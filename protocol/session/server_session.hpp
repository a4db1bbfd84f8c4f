// The registry's end of a session: grants wants, chooses bases, offers artifacts, pushes what is
// published, takes publishes and queries. protocol/README.md, "Flows".
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "protocol/session/link.hpp"

namespace notp {

// One release as negotiation sees it.
struct CatalogEntry {
  uint64_t version = 0;
  uint64_t epoch = 0;
  Hash release;
  Hash content_root;
};

// What the registry can offer. Answers from memory; thread-safe.
class Catalog {
 public:
  virtual ~Catalog() = default;
  // nullopt: the ledger has no release.
  virtual std::optional<CatalogEntry> head(const LedgerId& ledger) const = 0;
  virtual std::optional<CatalogEntry> release(const LedgerId& ledger, uint64_t version) const = 0;
};

enum class Action : uint8_t { kRead, kPublish, kFleet };

// The rights of the peer of one session, looked up at every use so that a change takes effect at
// once.
class SessionRights {
 public:
  virtual ~SessionRights() = default;
  // kDenied with who, what and whom to ask. `ledger` is null for fleet queries.
  virtual Result<void> may(Action action, const LedgerId* ledger) const = 0;
};

struct ServerIntroduction {
  std::string server;
  std::string trust_domain;
  uint64_t root_version = 0;
  Content root_envelope;
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
  uint64_t base_version = 0;  // 0: full content
  uint64_t version = 0;
};
struct Committed {
  wire::Commit commit;
};
struct PublishArrived {
  wire::Publish publish;
  Bytes artifact;
};
struct Asked {
  wire::Query query;
};
// A right that is missing, or a ledger that cannot be served: the session goes on, the host logs
// it.
struct Refused {
  Error error;
};
struct Closed {
  Error error;
};
}  // namespace server_event

using ServerEvent = std::variant<server_event::Greeted, server_event::ArtifactNeeded,
                                 server_event::Committed, server_event::PublishArrived,
                                 server_event::Asked, server_event::Refused, server_event::Closed>;

class ServerSession final : public SessionLink {
 public:
  // `catalog` and `rights` outlive the session.
  ServerSession(const Catalog& catalog, const SessionRights& rights,
                ServerIntroduction introduction, Now now);

  std::vector<ServerEvent> take_events() { return std::exchange(events_, {}); }

  // Once for each ArtifactNeeded.
  void artifact_ready(uint64_t ticket, Result<Content> artifact);
  // The head of a ledger moved: pushes it to a peer that subscribed and whose base is known.
  void head_changed(const LedgerId& ledger);
  void publish_done(wire::PublishResult result) { send(std::move(result)); }
  void answer(wire::Answer answer) { send(std::move(answer)); }

 private:
  // What is known of the peer's copy of one ledger.
  struct Subscription {
    std::optional<uint64_t> base;  // version that the peer holds and that the catalog knows
    std::vector<uint64_t> older;   // versions that it holds besides, newest first
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
  };
  struct Upload {
    wire::Publish publish;
    Incoming incoming;
  };

  Result<void> on_message(wire::Message&& message, Now now) override;
  void on_closed(const Error& error, uint32_t retry_after_ms, Now now) override;
  TimeMs transfer_waiting_since() const override;

  Result<void> on_hello(wire::Hello&& hello);
  Result<void> on_want_more(wire::WantMore&& more);
  Result<void> on_commit(wire::Commit&& commit);
  Result<void> on_publish(wire::Publish&& publish);
  Result<void> on_chunk(const wire::Chunk& chunk);
  Result<void> on_query(wire::Query&& query);

  // Grants or refuses one want; heads and refusals go into `welcome`.
  void grant(wire::Want&& want, wire::Welcome& welcome);
  // kLimit when one more want would let a peer hold more than a session may cost.
  Result<void> check_room(const wire::Want& want) const;
  void subscribe(const wire::Want& want);
  void offer_head(const LedgerId& ledger, Subscription& subscription);
  void offer_one(const wire::Want& want, wire::Welcome& welcome);
  uint64_t need_artifact(const LedgerId& ledger, uint64_t base, uint64_t version);
  void artifact_failed(uint64_t ticket, const Error& error);
  void send_offer(const LedgerId& ledger, uint64_t base, uint64_t version, Content artifact,
                  const std::optional<wire::ResumeToken>& resume);
  void finish_upload_if_complete(std::map<uint32_t, Upload>::iterator upload);

  const Catalog& catalog_;
  const SessionRights& rights_;
  const ServerIntroduction introduction_;
  std::map<LedgerId, Subscription> subscriptions_;
  std::map<uint64_t, OneShot> one_shots_;
  std::map<uint32_t, Upload> uploads_;
  std::vector<ServerEvent> events_;
  size_t preparing_ = 0;  // tickets that wait for their artifact
  uint64_t next_ticket_ = 1;
  uint32_t next_stream_ = 1;
  bool greeted_ = false;
};

}  // namespace notp
