"""The stage that tests play on, built once. Each module says what it gives a test:

    waiting       until something holds
    threads       the same from several threads at once
    repository    real Git repositories to push to
    packages      packages as folders and as repositories, and the evaluation of one
    ports         the smallest clock, journal, secrets and evaluator
    records       what is recorded of enclaves, in memory and in files
    scripts       plans written step by step
    scripted      the evaluate stage over an interpreter whose package is a Python function
    devnet        an enclave in memory with the stages compare and apply over it
    world         the whole page: a repository, the world that follows it, and what a user asks of them
    chain         a package of two services, followed over an enclave in memory
    local         packages followed over processes of this machine
    daemon        the daemon as a process
    processes     programs of the project as processes, and what the machine tells of a process
    servers       real servers on loopback: a host of Git, a counter, some that hang

``scripts``, ``scripted``, ``devnet``, ``ports`` and ``records`` start nothing: unit tests use no others.
"""
