// The token lanes of a registry.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/lane/lane_config.hpp"
#include "notp-server/lane/lane_host.hpp"
#include "protocol/serve/lane_feed.hpp"

namespace notp::lane {

// The folder of the lanes' databases below the data folder: <name>.db each.
inline constexpr const char* kLanesFolder = "lanes";
std::string lane_file_name(const std::string& lane);

struct LanesParts {
  std::string trust_domain;
  std::filesystem::path data_dir;
  int64_t restored_ms = 0;  // as in EventStoreOptions
  std::function<void(double)> observe_fan_out = {};
};

// Thread-safe.
class Lanes final : public serve::LaneFeed {
 public:
  // kConfig, kIo, kCorrupt: the key or a database cannot be used; names the lane.
  static Result<std::unique_ptr<Lanes>> open(const LanesConfig& config, const LanesParts& parts);
  ~Lanes() override;
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  // Once, before the first session. `outlet` outlives stop(). The sources were made and belong to
  // their lanes; those of a name that is not among the lanes are a bug.
  void start(serve::LaneOutlet& outlet);
  // Ends the sources, takes what waits, and ends the lanes. Blocking; a second call does nothing.
  void stop();

  // Before start().
  void add_source(const std::string& lane, std::unique_ptr<LaneSource> source);

  // Null: there is no such lane.
  LaneHost* find(const std::string& lane) const;
  const PublicKey& public_key() const { return public_key_; }

  // Rows by name; empty: all lanes.
  wire::LanesPage page(const std::string& lane) const;
  // kNotFound; kMessage, kLimit, kUnavailable, kOverloaded: nothing was revoked. Blocking: it is
  // durable when this returns.
  Result<wire::LaneChange> revoke(const wire::RevokeTokens& order, TimeMs now_ms);
  Result<wire::TokenRow> show(const wire::ShowToken& query) const;

  std::vector<LaneReport> reports() const;
  // By lane.
  std::vector<std::pair<std::string, SourceState>> sources() const;
  // Copies of all databases. kIo, kCorrupt.
  Result<void> copy_to(const std::filesystem::path& folder) const;

  // --- serve::LaneFeed

  void subscribe(serve::LaneReader reader, const session::Identity& identity,
                 wire::LaneSubscribe wanted) override;
  void fell_behind(serve::LaneReader reader, uint64_t revision) override;
  void drained(serve::LaneReader reader) override;
  void ask(serve::LaneReader reader, std::vector<feed::TokenId> ids) override;
  void applied(serve::LaneReader reader, const wire::LaneApplied& applied) override;
  void closed(uint64_t reader) override;

 private:
  struct Lane {
    std::unique_ptr<LaneHost> host;
    std::vector<std::unique_ptr<LaneSource>> sources;
  };

  explicit Lanes(PrivateKey key) : key_(std::move(key)), public_key_(key_.public_key()) {}

  Result<LaneHost*> get(const std::string& lane) const;
  LaneHost* lane_of(uint64_t reader) const;
  wire::LaneRow row(const Lane& lane) const;

  const PrivateKey key_;
  const PublicKey public_key_;
  std::map<std::string, Lane> lanes_;
  serve::LaneOutlet* outlet_ = nullptr;
  mutable Mutex mutex_;
  std::unordered_map<uint64_t, LaneHost*> readers_ NOTP_GUARDED_BY(mutex_);
  bool stopped_ NOTP_GUARDED_BY(mutex_) = false;
};

}  // namespace notp::lane
