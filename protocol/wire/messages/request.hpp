// Requests of the admin CLI and of nodes, and their responses. A new pair is one alternative here
// and its codec in its family's file; the session, the registry's queues and the client derive the
// rest from these members of each alternative of Request:
//
//   kName     as in schemas/requests.proto
//   kAction   the right that it needs, about `ledger` when it has such a member; nullopt: none, and
//             the response holds no more than its reader may see
//   kKind     which of the registry's queues it waits in
//   Response  the alternative of Response that a success has
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "protocol/wire/messages/audit.hpp"
#include "protocol/wire/messages/done.hpp"
#include "protocol/wire/messages/enrollment.hpp"
#include "protocol/wire/messages/erasure.hpp"
#include "protocol/wire/messages/lanes.hpp"
#include "protocol/wire/messages/ledgers.hpp"
#include "protocol/wire/messages/nodes.hpp"
#include "protocol/wire/messages/pending.hpp"
#include "protocol/wire/messages/proof.hpp"
#include "protocol/wire/messages/publish.hpp"
#include "protocol/wire/messages/recovery.hpp"
#include "protocol/wire/messages/sources.hpp"
#include "protocol/wire/messages/status.hpp"
#include "protocol/wire/messages/trust.hpp"

namespace notp::wire {

struct Request {
  static constexpr FrameType kFrame = FrameType::kRequest;
  static constexpr std::string_view kName = "Request";

  uint64_t request = 0;  // chosen by the client, returned in the Response
  std::variant<HistoryRequest, NodesRequest, LedgersRequest, RootsRequest, PublishRoot, Withdraw,
               PendingRequest, Cosign, DropPending, TrustRequest, NewJoinToken, RenewCertificate,
               DecisionsRequest, DecisionCountsRequest, LogsRequest, SegmentRequest,
               RecoveryRequest, Recover, StatusRequest, TreeRequest, ProofRequest, HoldsRequest,
               PutHold, EraseRequest, ReleaseHeldRequest, SourcesRequest, RefreshSource,
               LanesRequest, RevokeTokens, ShowToken, ReleaseStatusRequest>
      what;
};

struct Response {
  static constexpr FrameType kFrame = FrameType::kResponse;
  static constexpr std::string_view kName = "Response";

  uint64_t request = 0;
  uint32_t code = 0;  // 0: done; else the wire number of an ErrorCode
  std::string message;
  // Done also stands for a page without rows: both have no bytes.
  std::variant<Done, HistoryPage, NodesPage, LedgersPage, RootsPage, PendingPage, PublishResult,
               TrustRow, IssuedToken, Certificate, DecisionsPage, DecisionCountsPage, LogsPage,
               SegmentPart, RecoveryStatus, RegistryStatus, TreePart, RecordProof, HoldsPage,
               Erased, SourcesPage, LanesPage, LaneChange, TokenRow, ReleaseStatus>
      what = {};
};

struct NeededRight {
  Action action = Action::kRead;
  const model::LedgerId* ledger =
      nullptr;  // into the request; null when the action is not about a ledger
};

// Returns the right that `request` needs. nullopt: none, as for one that may name a ledger and does
// not.
std::optional<NeededRight> needed_right(const Request& request);

RequestKind kind_of(const Request& request);

template <typename T>
concept ResponsePage = requires(T page) {
  { page.more } -> std::convertible_to<bool>;
};

// Returns the content of the response to a T, or the error that the response carries; kMessage when
// it responds to another request.
template <typename T>
Result<typename T::Response> take_response(Response&& response) {
  using Content = typename T::Response;
  if (response.code != 0)
    return fail(error_code_from_wire(response.code), std::move(response.message));
  if (auto* content = std::get_if<Content>(&response.what)) return std::move(*content);
  if constexpr (ResponsePage<Content>)
    if (std::holds_alternative<Done>(response.what)) return Content{};
  return fail(ErrorCode::kMessage, "the response to " + std::string(T::kName) + " has no " +
                                       std::string(Content::kName));
}

}  // namespace notp::wire
