// The messages of NOTP as plain structs. schemas/notp.proto and requests.proto define their
// encoding. Each family has a header here, with the structs and the constants that other code reads
// (kFrame, kName), and a .cpp with the codec of each of its messages: layout, rules, encoding,
// decoding.
#pragma once

#include <variant>

#include "protocol/wire/messages/control.hpp"
#include "protocol/wire/messages/decision_log.hpp"
#include "protocol/wire/messages/enrollment.hpp"
#include "protocol/wire/messages/freshness.hpp"
#include "protocol/wire/messages/hello.hpp"
#include "protocol/wire/messages/inventory.hpp"
#include "protocol/wire/messages/lanes.hpp"
#include "protocol/wire/messages/nodes.hpp"
#include "protocol/wire/messages/publish.hpp"
#include "protocol/wire/messages/recovery.hpp"
#include "protocol/wire/messages/request.hpp"
#include "protocol/wire/messages/sources.hpp"
#include "protocol/wire/messages/transfer.hpp"

namespace notp::wire {

using Message =
    std::variant<Hello, Welcome, Offer, Chunk, Commit, WantMore, Ping, Pong, ErrorMessage, Bye,
                 Publish, PublishResult, Request, Response, RootUpdate, FreshnessUpdate, Join,
                 Joined, InventoryRequest, Inventory, LogGrant, LogAnnouncement, Segment,
                 HeldRequest, Held, ReturnRequest, Return, LogReceipt, LogWitness, ReleaseHeld,
                 UnknownKey, SourceStatus, LaneSubscribe, LaneState, LaneStatement, LaneAsk,
                 LaneApplied, Assignment>;

}  // namespace notp::wire
