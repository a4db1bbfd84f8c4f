// A lane's events in memory: for simulations and tests. What is committed survives reopen().
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "notp-server/lane/event_store.hpp"

namespace notp::lane {

class MemoryEventStore final : public EventStore {
 public:
  explicit MemoryEventStore(const feed::TokenId& instance) { state_.instance = instance; }

  const StoreState& state() const override { return state_; }
  uint64_t bytes() const override { return 0; }
  Result<std::unique_ptr<StoreCopy>> begin_copy(const std::filesystem::path&) override {
    return fail(ErrorCode::kConfig, "a lane in memory has no file");
  }
  Result<void> set_instance(const feed::TokenId& instance) override {
    state_.instance = instance;
    return {};
  }
  Result<void> begin() override;
  Result<void> commit() override;
  void roll_back() override;
  Result<void> put(const Row& row) override;
  Result<void> erase(const feed::EventKey& key) override;
  Result<bool> note_key(std::string_view source, std::string_view key, int64_t now_s) override;
  Result<size_t> remove_ended(int64_t now_s, size_t max) override;
  Result<std::optional<Row>> find(const feed::EventKey& key) override;
  Result<Page> tail(uint64_t after, size_t rows_max, size_t bytes_max) override;
  Result<Page> range(const std::optional<feed::EventKey>& after, size_t rows_max,
                     size_t bytes_max) override;

  // As after a restore of a copy.
  void renew_instance(const feed::TokenId& instance) { state_.instance = instance; }

 private:
  using SourceKey = std::pair<std::string, std::string>;

  void set(const feed::EventKey& key, std::optional<Row> row);

  StoreState state_, before_;
  std::map<feed::EventKey, Row> rows_;
  std::map<uint64_t, feed::EventKey> by_revision_;
  std::map<SourceKey, int64_t> keys_;
  std::vector<std::function<void()>> undo_;  // of the transaction
};

}  // namespace notp::lane
