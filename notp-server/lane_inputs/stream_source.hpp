// The kinds websocket, redis and postgresql: streams of token messages, whose tokens are
// introspected.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "notp-server/lane_inputs/introspector.hpp"
#include "notp-server/lane_inputs/source_factory.hpp"
#include "notp-server/lane_inputs/stream_core.hpp"
#include "notp-server/lane_inputs/token_feed.hpp"

namespace notp::lane_inputs {

// What the kinds have in common.
struct StreamSourceTerms : KindTerms {
  // Of signed answers alone: others need no key.
  std::vector<std::string> issuers() const override {
    if (introspection && introspection->is_signed) return {introspection->issuer};
    return {};
  }

  StreamTerms stream;
  bool is_base64 = false;                            // of each message
  std::optional<IntrospectionConfig> introspection;  // there for IdForm::kToken
};

// The keys of one kind and those of every kind of stream, for check_keys().
std::vector<std::string_view> with_stream_keys(std::vector<std::string_view> own);

// kConfig: what load_introspection() refuses; tokens without introspection; hashes with it.
Result<void> load_stream(const config::Section& section, StreamSourceTerms& out);

// kConfig: a file cannot be read.
Result<std::unique_ptr<lane::LaneSource>> make_stream_source(const SourceConfig& config,
                                                             const SourceParts& parts,
                                                             TokenFeedPtr feed);

SourceKind websocket_kind();
SourceKind redis_kind();
SourceKind postgresql_kind();

}  // namespace notp::lane_inputs
