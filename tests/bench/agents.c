/* Copyright (c) 2026, the octofleet.octopus authors
 * GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Tentacles that cost next to nothing: a parent with key and certificate loaded, and for each host a child that listens
 * for itself on 127.0.1.<number>. A child that is ended is followed by a new one at once, so that ending it is a restart.
 *
 *     agents FOLDER PORT COUNT
 *
 * As its start-up, a child appends to hosts/<number>/Logs/OctopusTentacle.txt which pins it found in
 * hosts/<number>/tentacle.config, and then writes units/Tentacle-<number>, which is what `systemctl show` answers.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 250, PAGE = 65536 };

static SSL_CTX *context;
static const char *folder;
static int port;

static void give_up(const char *what) {
    perror(what);
    exit(1);
}

static FILE *file_of(int number, const char *name, const char *mode) {
    char path[4096];
    snprintf(path, sizeof path, "%s/hosts/%d/%s", folder, number, name);
    FILE *file = fopen(path, mode);
    if (!file) give_up(path);
    return file;
}

static void say(FILE *log, const char *format, ...) {
    char stamp[32];
    time_t now = time(NULL);
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", gmtime(&now));
    va_list arguments;
    va_start(arguments, format);
    fprintf(log, "%s.0000   %6d      1  INFO  ", stamp, getpid());
    vfprintf(log, format, arguments);
    fputc('\n', log);
    va_end(arguments);
}

/* The trust is a snapshot taken at the start, and the log tells it. */
static void take_trust(int number) {
    static char page[PAGE];
    static const char key[] = "\"Thumbprint\":\"";
    FILE *configuration = file_of(number, "tentacle.config", "r"), *log = file_of(number, "Logs/OctopusTentacle.txt", "a");
    page[fread(page, 1, PAGE - 1, configuration)] = 0;
    fclose(configuration);
    say(log, "==== RunAgentCommand ====");
    for (const char *at = page; (at = strstr(at, key)); ) {
        at += strlen(key);
        say(log, "Agent will trust Octopus Servers with the thumbprint: %.*s", (int)strcspn(at, "\""), at);
    }
    say(log, "Agent listening on: https://127.0.1.%d:%d/", number, port);
    fclose(log);
}

static void tell_the_manager(int number) {
    char path[4096], draft[4200];
    struct timespec now;
    snprintf(path, sizeof path, "%s/units/Tentacle-%d", folder, number);
    snprintf(draft, sizeof draft, "%s.new", path);
    FILE *unit = fopen(draft, "w");
    if (!unit) give_up(draft);
    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(unit, "MainPID=%d\nLoadState=loaded\nActiveState=active\nUser=\n", getpid());
    fprintf(unit, "ExecMainStartTimestampMonotonic=%lld\n", now.tv_sec * 1000000LL + now.tv_nsec / 1000);
    fprintf(unit, "ExecStart={ path=%s/bin/Tentacle ; argv[]=%s/bin/Tentacle run --instance=Tentacle --noninteractive ; ignore_errors=no }\n",
            folder, folder);
    fprintf(unit, "Environment=TentacleMachineConfigurationHomeDirectory=%s/hosts/%d/etc HOME=%s/hosts/%d\n", folder, number, folder, number);
    fclose(unit);
    if (rename(draft, path)) give_up(path);
}

static void serve(int number) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f000100 + number)};
    struct timeval patience = {.tv_sec = 5};
    int yes = 1, listening = socket(AF_INET, SOCK_STREAM, 0);
    char page[64];
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listening, (struct sockaddr *)&own, sizeof own) || listen(listening, 16)) give_up("listen");
    take_trust(number);
    tell_the_manager(number);
    for (int peer; (peer = accept(listening, NULL, NULL)) >= 0; close(peer)) {
        setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        SSL *ssl = SSL_new(context);
        SSL_set_fd(ssl, peer);
        if (SSL_accept(ssl) == 1) SSL_read(ssl, page, sizeof page); /* to the caller's goodbye */
        SSL_free(ssl);
    }
    give_up("accept");
}

static pid_t start(int number) {
    pid_t parent = getpid(), child = fork();
    if (child < 0) give_up("fork");
    if (child) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) serve(number);
    exit(1);
}

int main(int argc, char **argv) {
    static pid_t children[MOST + 1];
    char path[4096];
    int status;
    if (argc != 4 || atoi(argv[3]) > MOST) return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    folder = argv[1];
    port = atoi(argv[2]);
    context = SSL_CTX_new(TLS_server_method());
    snprintf(path, sizeof path, "%s/agent.pem", folder);
    if (SSL_CTX_use_certificate_file(context, path, SSL_FILETYPE_PEM) != 1) give_up(path);
    if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1) give_up(path);
    for (int number = 1; number <= atoi(argv[3]); number++) children[number] = start(number);
    for (pid_t ended; (ended = wait(&status)) > 0 && WIFSIGNALED(status); ) /* one that gave up said why */
        for (int number = 1; number <= MOST; number++)
            if (children[number] == ended) children[number] = start(number);
    return 1;
}
