/* The user's client, and how it ends its connections with netkit's server. */
#include "scenario/programs/sut_close.h"

#include <signal.h>
#include <string.h>

/* The server never reaches its point: it answers, and keeps the connection. */
static void play_kept_open(struct testbed *bed)
{
    const struct sut_request *request = sut_request(bed);
    struct stub_peer_job job = {.point = {.when = STUB_PEER_WHEN_TIME, .amount = INT64_MAX}};
    struct sut_ending ending;
    struct sut sut;

    sut_start_client(bed, &sut, &job);
    if (sut_has_ended(bed, &sut, request->patience_ns))
        testbed_saw(bed, "seen c>s:fin", 300 * NS_PER_MS);
    if (!testbed_failed(bed) && !testbed_saw(bed, "seen c>s:syn", 0))
        sut_decline(bed, "the client never connected (%s)", sut_end_text(bed, &sut));
    if (!sut_close_finish(bed, &sut, &ending))
        return;
    testbed_check_bool(bed, "ended", true, sut.ended);
    testbed_check_bool(bed, "client_resets", false, ending.cause != RESET_NONE);
    if (!sut.ended)
        testbed_blame(bed, FINDING_PROGRAM_FAILED,
                      "The client had its response, and was still running when the time was up "
                      "(--timeout).");
    testbed_blame(bed, FINDING_PEER_ABORTED,
                  "The client ended the connection with RST: %s. What the server had sent last is "
                  "lost.",
                  reset_cause_text(ending.cause));
    testbed_summarize(bed, TEXT("client", sut_end_text(bed, &sut)));
}

static const struct scenario kept_open = {
    .name = "kept-open",
    .title = "the server responds, and leaves it to the client to end the connection",
    .play = play_kept_open,
};

/* Runs the client to its end, which must come. False: the run is given up. */
static bool run_to_end(struct testbed *bed, struct sut *sut)
{
    if (!sut_has_ended(bed, sut, sut_request(bed)->patience_ns))
        sut_decline(bed, "the client had not ended when the time was up (--timeout), and how it "
                         "ends would tell whether it saw the answer");
    return !testbed_failed(bed);
}

/* The server answers with success, so that the client's own does not depend on the answer. First it
 * reads on; where the client fails then, its failure says nothing. */
static void play_early_answer(struct testbed *bed)
{
    struct sut control, sut;

    sut_start_client(bed, &control, &(const struct stub_peer_job){.early = true});
    if (!run_to_end(bed, &control))
        return;
    bool uploads = testbed_saw(bed, "mark=body", 0);
    if (uploads && control.exit.status)
        sut_decline(bed,
                    "the client fails (%s) even where the early answer is not followed by RST: "
                    "--serve raw:FILE gives it the answer that it expects",
                    sut_end_text(bed, &control));
    agent_signal(testbed_server(bed), SIGUSR1);
    testbed_from_here(bed);
    sut = control;
    if (uploads && !testbed_failed(bed)) {
        sut_start(bed, &sut);
        run_to_end(bed, &sut);
    }
    testbed_finish(bed);
    if (testbed_failed(bed))
        return;
    sut_observe_end(bed, &sut);
    testbed_observe(bed, BOOL("uploads", uploads));
    testbed_check_bool(bed, "lost_answer", false, uploads && sut.exit.status != 0);
    testbed_summarize(bed, TEXT("client", sut_end_text(bed, &sut)));
    if (!uploads)
        testbed_explain(bed,
                        "The client sent no request with a body, so there was nothing that the "
                        "server could leave unread.");
    testbed_blame(bed, FINDING_EARLY_ANSWER_RESET,
                  "The server answered the upload before it had read it, and reset the connection. "
                  "The client lost that answer (%s); where the server read on, it got it.",
                  sut_end_text(bed, &sut));
    testbed_remedy(bed, RESULT_SIDE_CLIENT,
                   "When a write fails, read what the server has sent before the connection is "
                   "given up; or ask before the body is sent (Expect: 100-continue).");
}

static const struct scenario early_answer = {
    .name = "early-answer",
    .title = "the server answers an upload before it has read it, and resets",
    .play = play_early_answer,
};

static const struct scenario *const clients[] = {&kept_open, &early_answer, NULL};

const struct scenario_set sut_close_clients = {.command = "linger-test", .items = clients};
