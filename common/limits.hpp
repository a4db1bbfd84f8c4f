// Every named limit and its reason. Sizes in bytes, times in milliseconds unless the name says
// otherwise. A limit is part of the protocol when a peer can reach it; protocol/README.md repeats
// those.
#pragma once

#include <cstddef>
#include <cstdint>

namespace notp::limits {

// --- models: what a registry accepts and an agent reconstructs
inline constexpr size_t kPathBytesMax = 512;         // a whole path
inline constexpr size_t kPathSegmentBytesMax = 200;  // fits every file system we extract to
inline constexpr size_t kPathDepthMax = 32;          // also bounds tree recursion
inline constexpr size_t kModelFilesMax = 100'000;
inline constexpr uint64_t kModelBytesMax = 1ULL << 30;   // 1 GiB of content
inline constexpr uint64_t kBlobBytesMax = 256ULL << 20;  // one document
inline constexpr size_t kManifestBytesMax = 64 << 10;
inline constexpr size_t kRegoFileBytesMax = 4 << 20;
inline constexpr size_t kJsonDepthMax = 100;  // levels
// People write YAML by hand; its reader needs up to 2 s for 1 MiB of hostile text.
inline constexpr size_t kYamlBytesMax = 1 << 20;
inline constexpr uint64_t kModelYamlBytesMax = 16 << 20;
inline constexpr size_t kRootsMax = 64;
inline constexpr size_t kUsesMax = 16;  // other ledgers that a model names
inline constexpr size_t kUsesDepthMax = 4;
inline constexpr size_t kUsedModelsMax = 64;  // that a model needs, directly or through others
inline constexpr size_t kFindingsMax = 100;   // reported for one model; the rest is counted

// --- signed statements
inline constexpr size_t kEnvelopeBytesMax = 64 << 10;
inline constexpr size_t kSignaturesMax = 16;
inline constexpr size_t kRootKeysMax = 64;
inline constexpr size_t kDelegationsMax = 1024;
inline constexpr size_t kNameBytesMax = 128;  // trust domain, ledger, node
inline constexpr uint64_t kZoneMin = 100'000'000'000, kZoneMax = 999'999'999'999;
// Leaves room for a recovery by epoch: a version near the top would lock a ledger for ever.
inline constexpr uint64_t kVersionMax = 1ULL << 48;
// The end of the year 9999: sums of two instants and of an age never overflow.
inline constexpr int64_t kTimestampMsMax = 253'402'300'799'999;
inline constexpr uint64_t kHardSecondsMax =
    100ULL * 366 * 24 * 3600;  // hard_s, for the same reason
inline constexpr size_t kKeyidBytesMax = 128;
// Roots that a holder verifies in one session (TUF 1.0.34 §5.3.3): a registry cannot keep it busy
// for ever.
inline constexpr size_t kRootStepsMax = 1024;
// Withdrawn releases of one ledger in a freshness statement. So many of each of
// kLedgersPerSessionMax ledgers fit an envelope.
inline constexpr size_t kWithdrawnMax = 16;
// The maximum time between the issue and the acceptance of a freshness statement, whatever its own
// lifetime.
inline constexpr int64_t kFreshnessLifetimeMsMax = 7LL * 24 * 3600 * 1000;
// How far ahead of this clock a statement may have been issued. More would let a thief of the
// freshness key sign statements for years in advance.
inline constexpr int64_t kClockSkewMs = 10LL * 60 * 1000;

// --- frames and sessions
inline constexpr size_t kFrameBytesMax = 1 << 20;
inline constexpr size_t kFrameHeaderBytesMax = 5;  // type, varint of at most 4 bytes
inline constexpr int kProtobufDepthMax = 16;
inline constexpr size_t kProtocolVersionsMax = 16;   // offered in one Hello
inline constexpr size_t kIdentityBytesMax = 2'048;   // SPIFFE-ID §2.3
inline constexpr size_t kChunkBytesMax = 256 << 10;  // what a cut costs at most
inline constexpr size_t kLedgersPerSessionMax = 64;
inline constexpr size_t kOlderBasesMax = 16;
inline constexpr size_t kErrorTextBytesMax = 4 << 10;
inline constexpr size_t kStreamsMax = 64;           // transfers open at once in one session
inline constexpr size_t kUploadsPerSessionMax = 2;  // publishes under way in one session
inline constexpr size_t kInventoryLeavesMax = 100'000;
// Above so many leaves an inventory begins as a sketch. Below, a list is so small that the saving
// is not worth the round trip of an unreadable sketch.
inline constexpr size_t kInventoryListedMax = 20'000;
inline constexpr size_t kInventoriesMax = 4;  // that a client answers for one ledger in one session
inline constexpr size_t kHeldEnvelopesMax =
    64;  // of releases, and of roots, in one answer of a node
inline constexpr size_t kHeldBytesMax = 512 << 10;  // of all of these
inline constexpr size_t kHeldRequestsMax = 64;  // that a node answers for one ledger in one session
inline constexpr size_t kSilentListedMax = 100;  // nodes by name that a registry has not heard
inline constexpr size_t kLacksMax = 256;         // damaged contents that are requested one by one
inline constexpr size_t kQueryRowsMax = 1000;
inline constexpr int64_t kHandshakeMs = 5'000;
inline constexpr int64_t kFirstFrameMs = 5'000;
inline constexpr int64_t kCloseMs = 2'000;      // for the last bytes to reach the peer
inline constexpr int64_t kAcceptPauseMs = 100;  // after a failed accept
inline constexpr int64_t kIdleMs = 90'000;
inline constexpr int64_t kPingMs = 30'000;
inline constexpr int64_t kTransferStallMs = 20'000;    // no progress on an active transfer
inline constexpr size_t kSendQueueBytesMax = 8 << 20;  // a peer that reads slower is dropped
inline constexpr size_t kSessionsPerIdentityMax = 8;
inline constexpr size_t kSessionsMax = 50'000;

// --- artifacts
inline constexpr uint64_t kArtifactBytesMax = kModelBytesMax + (64ULL << 20);
inline constexpr size_t kPathProgramBytesMax = 32 << 20;
inline constexpr size_t kSmallFileBytesMax = 64 << 10;  // larger ones get a separate frame
// Small files, and their reference, in one SOLID section: bounds a decoder's memory.
inline constexpr size_t kSolidBytesMax = 8 << 20;
inline constexpr int kZstdWindowLogMax = 28;  // 256 MiB: one kBlobBytesMax document
// For the numbers in a delta, which are decoded piece by piece: bounds a decoder's memory.
inline constexpr int kDeltaWindowLogMax = 18;

// --- registry
inline constexpr size_t kArtifactCacheBytes = 256 << 20;
// Requests after which an artifact is encoded again, smaller; fewer for full content, because the
// next node that joins asks for it.
inline constexpr uint64_t kRecompressAfter = 3, kRecompressFullAfter = 1;
// For the reference workload's full content, 12 saves 9 % in 4 times the time of 6, 15 another 8 %
// in 5 times that, 19 another 5 % in 3 times that.
inline constexpr int kRecompressLevel = 15;
// Small contents are coded at a high level at once.
inline constexpr size_t kRecompressBytesMin = 16 << 10;
inline constexpr uint64_t kSnapshotMemoryBytes = 1ULL << 30;  // content of releases, all ledgers
// Large data documents that are known to be well-formed; some hundred bytes each.
inline constexpr size_t kValidatedDocumentsMax = 4096;
// Bounds the search for changes of a JSON document: the token positions take four times the memory
// of a hostile one. More changes than the maximum cost as much as the document.
inline constexpr size_t kJsonChangesBytesMax = 32 << 20;
inline constexpr size_t kJsonChangesMax = 256;
inline constexpr size_t kSnapshotsPerLedger = 8;  // newest releases known by their tree
// Documents from this size on are written to Git as a delta when they change a little: of at most
// so many bytes, for so many versions that a ledger remembers.
inline constexpr size_t kLargeBlobBytesMin = 1 << 20;
inline constexpr size_t kGitDeltaBytesMax = 256 << 10;
inline constexpr size_t kLargeBlobVersionsMax = 64;
inline constexpr size_t kOffloadQueueMax = 4096;
inline constexpr int64_t kPublishTimeoutMs = 300'000;
inline constexpr size_t kLedgersMax = 10'000;
inline constexpr int64_t kFreshnessIntervalMs = 30'000;  // renewal on an open session
inline constexpr int64_t kFreshnessLifetimeMs = 15LL * 60 * 1000;
inline constexpr int64_t kFreshnessSoonMs = 1'000;  // until a withdrawal is sent on open sessions
inline constexpr size_t kPendingPerLedgerMax = 8;   // releases that wait for signatures
inline constexpr size_t kDenyListMax = 100'000;     // identities
inline constexpr size_t kJoinTokensMax = 10'000;    // not yet used, not yet expired
inline constexpr int64_t kJoinTokenMsMax = 7LL * 24 * 3600 * 1000;
inline constexpr size_t kJoinTokenBytesMax = 1 << 10;
// A registry's time to answer a node that renews its certificate.
inline constexpr int64_t kRenewAnswerMs = 60'000;
// Files that people and tools replace: the delay from the first report of a change to reading, as
// several are replaced together; and the poll interval when changes are not reported.
inline constexpr int64_t kFileSettleMs = 100;
inline constexpr int64_t kFileWatchMs = 2'000;
// The longest wait for a time of the wall clock, which may be slewed meanwhile. Jumps are reported.
inline constexpr int64_t kWallWaitMs = 24LL * 3600 * 1000;
inline constexpr size_t kCertificateRequestBytesMax = 8 << 10;
inline constexpr size_t kJoinFrameBytesMax = 16 << 10;  // all that a joining node sends
inline constexpr size_t kJoinsMax = 64;                 // concurrent joins
// Joins from one address (IPv6: from one /64) that may fail in a window before it is refused.
inline constexpr size_t kJoinFailuresMax = 10;
inline constexpr int64_t kJoinFailureWindowMs = 60'000;
inline constexpr size_t kJoinAddressesMax = 4096;  // remembered addresses

// --- agent
inline constexpr int64_t kClockKeepMs = 60'000;  // how often the high-water mark becomes durable
// The delay until a set wall clock is noticed when the kernel does not report it.
inline constexpr int64_t kClockCheckMs = 10'000;
inline constexpr size_t kReleasesKept = 8;  // for an instant local rollback
// Staged bytes of incomplete artifacts, of all ledgers; and of those in one write.
inline constexpr uint64_t kPartialBytesMax = 256ULL << 20;
inline constexpr size_t kStagedPieceBytesMax = 1 << 20;
// The amount of new content from which on an empty store is written as a new file, rather than
// through the log and then into the file.
inline constexpr uint64_t kBulkLoadBytesMin = 4ULL << 20;
// Rows that one step of garbage collection deletes: the most that an installation waits for.
inline constexpr size_t kCollectRowsMax = 256;
// Free space that a store keeps for the next releases, and how much of the excess one step moves.
inline constexpr uint64_t kFreeBytesKept = 64ULL << 20, kFreeBytesStep = 4ULL << 20;
inline constexpr int64_t kBackoffFirstMs = 200, kBackoffMaxMs = 60'000;
inline constexpr size_t kSegmentBytesMin = 16 << 10, kSegmentBytesMean = 64 << 10,
                        kSegmentBytesMax = 256 << 10;

// --- policy evaluation
inline constexpr size_t kInputBytesMax = 1 << 20;
inline constexpr int64_t kEvaluationMs = 1'000;
// Validation of a model, in processor time of its process: independent of the machine's load.
inline constexpr int64_t kModelTestMs = 5'000;    // one test rule
inline constexpr int64_t kModelTestsMs = 60'000;  // all of them
inline constexpr int64_t kCheckMs = 240'000;      // everything
// Extra time of a test for the process to stop it by itself.
inline constexpr int64_t kModelTestGraceMs = 2'000;
// By the wall clock, below kPublishTimeoutMs: beyond it the machine is too busy for a result.
inline constexpr int64_t kCheckWallMs = 280'000;
// A checker that takes no processor time for so long hangs, and is replaced.
inline constexpr int64_t kCheckStillMs = 30'000;
inline constexpr size_t kCheckRoundsMax = 16;   // times that a checker asks for content
inline constexpr size_t kCheckRestartsMax = 3;  // when the checker is killed from outside
inline constexpr size_t kWarmCheckersMax = 2;   // processes that wait for the next model
inline constexpr int64_t kWarmCheckerMs = 60'000;
// Memory of earlier validations: facts of modules, and good results.
inline constexpr size_t kCheckFactsBytes = 32 << 20, kCheckGoodBytes = 16 << 20;
inline constexpr size_t kCheckGoodReports = 64;
// Large contents that an activation may reuse from the previous installation.
inline constexpr uint64_t kRecentContentBytes = 64ULL << 20;
inline constexpr uint64_t kPatchedDocumentBytesMin = 1 << 20;  // smaller ones are sent whole
// Frames between a supervisor and its worker; the largest carries one document.
inline constexpr size_t kWorkerFrameBytesMax = 320 << 20;
inline constexpr size_t kWorkerTextBytesMax = 4 << 20;  // a message or a list of findings
inline constexpr size_t kWorkerStderrBytesMax = 8 << 10;
inline constexpr size_t kBatchInputsMax = 10'000;
// Queued bytes for a worker that reads slowly while content is sent to it.
inline constexpr size_t kWorkerSendBytesMax = 32 << 20;
inline constexpr int64_t kWorkerStartMs = 30'000;
inline constexpr int64_t kWorkerLookMs = 20;  // interval of memory checks of a busy worker
// Memory of a worker for each byte of data, and of policies, whose compiled form is large, plus a
// fixed amount for each module, as the worker counts its compiled modules.
inline constexpr uint64_t kWorkerBytesPerDataByte = 20, kWorkerBytesPerModuleByte = 96;
inline constexpr uint64_t kWorkerModuleOwnBytes = 1 << 10;
// RLIMIT_DATA is this far above the budget: the supervisor's check reports the reason, the limit
// catches faster allocations.
inline constexpr uint64_t kWorkerDataSlackBytes = 256ULL << 20;
inline constexpr int64_t kActivationMs = 120'000;  // one snapshot in one worker
inline constexpr int64_t kSlowEvaluationMs = 20;   // a path with a higher p95 goes to the slow lane
inline constexpr int64_t kQuickEvaluationMs = 2;   // served before others
inline constexpr int64_t kSlowLaneIdleMs = 60'000;  // then the standby drops its snapshot
// How long a question may wait for a worker beyond its deadline while workers end and start.
inline constexpr int64_t kTakeoverMs = 30'000;
// When the worker that takes over is not ready by then, the other one is tried in parallel.
inline constexpr int64_t kTakeoverLateMs = 2'000;
// Worker losses that one question, or one activation, survives by being repeated.
inline constexpr size_t kRepeatsMax = 100;
// Waiting questions: in all, and for one caller, which alone is refused beyond it.
inline constexpr size_t kWaitingMax = 4'096, kCallerWaitingMax = 1'024;
// The time after another caller's question during which a caller must leave capacity for others.
inline constexpr int64_t kCompanyMs = 1'000;
inline constexpr size_t kPathsKnownMax = 4'096;  // with a remembered cost
inline constexpr size_t kSuspectsMax = 1'024, kQuarantinesMax = 4'096;
inline constexpr uint32_t kSuspectCleanAnswers = 100;
inline constexpr int64_t kSuspectMs = 600'000;
inline constexpr int64_t kQuarantineFirstMs = 60'000, kQuarantineMaxMs = 3'600'000;
inline constexpr size_t kQuarantineCallersMax = 3;  // then the path is stopped for all callers
inline constexpr size_t kQuarantinedPathsMax = 64;  // of one ledger in a report

// --- decision records
inline constexpr size_t kRecordBytesMax = 2 << 20;    // above: input and result as digests
inline constexpr size_t kNdCacheBytesMax = 64 << 10;  // above: left out, and the record says so
inline constexpr size_t kMaskRulesMax = 64;           // of one manifest, and of one policy's answer
inline constexpr size_t kMaskRuleBytesMax = 512;
inline constexpr size_t kMaskedPathsMax = 256;  // named in one record; the rest is counted
inline constexpr size_t kStrictPathsMax = 64;   // of one manifest
inline constexpr size_t kSegmentRecordsMax = 1'024;
// Uncompressed.
inline constexpr size_t kSegmentContentBytesMax = 4 << 20;
inline constexpr int kSegmentWindowLogMax = 22;
inline constexpr int kSegmentLevel = 3;
inline constexpr int64_t kSegmentConnectedMs = 5'000, kSegmentOfflineMs = 60'000;
// 48 levels: positions below 2^48, as in a decision's id.
inline constexpr uint64_t kPositionMax = (1ULL << 48) - 1;
inline constexpr uint32_t kRunMax = (1 << 12) - 1;  // then the spool begins a new log
inline constexpr size_t kTreeLevelsMax = 48;
inline constexpr size_t kCheckpointBytesMax = 4 << 10;
inline constexpr size_t kAnnouncementBytesMax = 32 << 10;
inline constexpr uint64_t kRingBytes = 64ULL << 20;
inline constexpr uint64_t kSpoolBytes = 1ULL << 30;
inline constexpr uint64_t kSpoolKeptBytes = 64ULL << 20;  // of acknowledged segments …
inline constexpr int64_t kSpoolKeptMs = 24LL * 3600 * 1000;
inline constexpr size_t kSpoolWarnPercent = 80;
// The durability of records that are not strict: what a power cut may cost.
inline constexpr int64_t kRingSyncMs = 100;
inline constexpr size_t kRingSyncRecords = 1'024;
inline constexpr uint64_t kRingLease = 1 << 16;  // positions given out beyond the last sync
// Shipping: a chunk is what a Commit waits for on a slow link.
inline constexpr size_t kSegmentChunkBytes = 32 << 10;
inline constexpr uint64_t kLogWindowBytes = 1 << 20;
inline constexpr size_t kLogsPerNodeMax = 16;
inline constexpr size_t kForksKeptMax = 256;
// Hashes of one proof, of inclusion or of consistency: more than any tree of kPositionMax needs.
inline constexpr size_t kProofHashesMax = 63;
// One leaf of the registry's tree: it fits an entry bundle of C2SP tlog-tiles.
inline constexpr size_t kTreeEntryBytesMax = (1 << 16) - 1;
inline constexpr int64_t kTreeSealMs = 10'000;  // between two checkpoints of the registry's tree
// Cosignatures that a registry keeps with one of its checkpoints.
inline constexpr size_t kCosignaturesMax = 16;
inline constexpr size_t kHoldsMax = 1'024;
inline constexpr size_t kIngestQueueMax = 4'096;  // segments that wait for the writer, of all nodes
inline constexpr uint64_t kIngestBytesMax = 256ULL << 20;
// Audit questions.
inline constexpr size_t kFilterBytesMax = 64 << 10;  // of one segment
inline constexpr int64_t kAuditPageMs = 30'000;

// --- HTTP
inline constexpr size_t kHttpHeaderBytesMax = 16 << 10;
inline constexpr size_t kHttpBodyBytesMax = 16 << 20;
inline constexpr size_t kHttpGzipBodyBytesMax = 16 << 20;  // 16 KiB of gzip may unpack to it
inline constexpr int64_t kHttpHandshakeMs = 10'000;
inline constexpr int64_t kHttpIdleMs = 60'000;
inline constexpr int64_t kHttpHeaderMs = 10'000;                       // for the whole header
inline constexpr int64_t kHttpBodyMs = 30'000, kHttpWriteMs = 30'000;  // without progress
inline constexpr size_t kHttpBytesPerSecondMin = 1 << 10;              // for a body and an answer
inline constexpr int64_t kHttpLingerMs = 2'000;  // for a refusal to reach a client that still sends
inline constexpr size_t kHttpConnectionsMax = 1024;
// TLS handshakes of one address (IPv6: of one /64) under way, beyond loopback.
inline constexpr size_t kHttpHandshakesPerAddressMax = 256;
// Bodies and answers up to this size are not counted and always admitted.
inline constexpr size_t kHttpSmallBytes = 64 << 10;
inline constexpr uint64_t kHttpHeldBytesMax = 256ULL << 20;  // for large ones, in the whole process
inline constexpr int64_t kHttpStalledMs = 2'000;  // then a client may be dropped for another
inline constexpr size_t kHttpCompressBytesMin = 1 << 10;
inline constexpr int64_t kLongPollMaxMs = 60'000;

// --- configuration
inline constexpr size_t kConfigBytesMax = 1 << 20;
inline constexpr size_t kPemBytesMax = 256 << 10;

}  // namespace notp::limits
