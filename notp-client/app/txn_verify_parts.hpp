// How this agent looks at the transaction tokens of questions: opened from the configuration.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "notp-client/app/app_config.hpp"
#include "notp-client/decision/txn_watch.hpp"

namespace notp::client {

struct TxnVerifyPlace {
  pdp::Pdp& pdp;
  boost::asio::thread_pool& pool;  // reads keys of releases
  model::BlobLoader load;
  // Of keys that the set lacks, on the pool; null: the engine itself tells.
  std::function<void(const std::vector<wire::UnknownKey>&)> unknown_keys;
  prometheus::Registry& metrics;
};

// nullopt: the configuration names no places where tokens are.
std::optional<decision::TxnWatch> open_txn_watch(const ClientConfig& config, TxnVerifyPlace place);

}  // namespace notp::client
