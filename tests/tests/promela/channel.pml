/* Sends and receives on one channel, for every small number of senders, messages a sender,
 * receivers and receives a receiver. Either side waits, or tries: then a send is refused by a full
 * channel and a receive gets nothing from an empty one. (On a channel without places nobody tries:
 * whether somebody waits at its other end is nothing that a Promela program can ask.) The channel is Promela's own, of CAPACITY places
 * (0: rendezvous), so that nothing here is taken over from the model it is compared with.
 *
 * Wherever nothing can move any more, one line says who received what and who is blocked.
 * CAPACITY comes from the command line: spin -a -o2 -DCAPACITY=2 channel.pml
 *
 * -o2 switches dead-variable elimination off. With it on, Spin 6.5.2 loses 48 of the 213 endings at
 * capacity 0, if a receiver keeps what it receives in a local variable first: the variable seems
 * to count as dead while the rendezvous fills it.
 */
#define SENDERS 3
#define RECEIVERS 2
#define EACH 2
#define NOTHING 255

chan link = [CAPACITY] of { byte };

byte senders, messages, receivers, receives;
bit senders_try, receivers_try;
byte sent[SENDERS];
bit refused[SENDERS * EACH];
byte got[RECEIVERS];
byte log[RECEIVERS * EACH];

proctype sender(byte id) {
	do
	:: sent[id] < messages && !senders_try -> link ! (id * EACH + sent[id]); sent[id]++
#if CAPACITY > 0
	:: sent[id] < messages && senders_try ->
		atomic {
			if
			:: nfull(link) -> link ! (id * EACH + sent[id])
			:: full(link) -> refused[id * EACH + sent[id]] = 1
			fi;
			sent[id]++
		}
#endif
	:: sent[id] >= messages -> break
	od
}

proctype receiver(byte id) {
	do
	:: got[id] < receives && !receivers_try -> link ? log[id * EACH + got[id]]; got[id]++
#if CAPACITY > 0
	:: got[id] < receives && receivers_try ->
		atomic {
			if
			:: nempty(link) -> link ? log[id * EACH + got[id]]
			:: empty(link) -> log[id * EACH + got[id]] = NOTHING
			fi;
			got[id]++
		}
#endif
	:: got[id] >= receives -> break
	od
}

/* Runs when nobody else can. */
proctype observer() {
	byte i, k;
	timeout;
	d_step {
		printf("END %d senders of %d", senders, messages);
		if
		:: senders_try -> printf(" trying")
		:: else
		fi;
		printf(", %d receivers of %d", receivers, receives);
		if
		:: receivers_try -> printf(" trying")
		:: else
		fi;
		printf(":");
		i = 0;
		do
		:: i < receivers ->
			printf(" R%d[", i);
			k = 0;
			do
			:: k < got[i] ->
				if
				:: log[i * EACH + k] == NOTHING -> printf(" -")
				:: else ->
					printf(" %d:%d", log[i * EACH + k] / EACH, log[i * EACH + k] % EACH)
				fi;
				k++
			:: else -> break
			od;
			printf(" ]");
			i++
		:: else -> break
		od;
		printf(" refused");
		i = 0;
		do
		:: i < senders * EACH ->
			if
			:: refused[i] -> printf(" %d:%d", i / EACH, i % EACH)
			:: else
			fi;
			i++
		:: else -> break
		od;
		printf(" blocked");
		i = 0;
		do
		:: i < senders ->
			if
			:: sent[i] < messages -> printf(" S%d", i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < receivers ->
			if
			:: got[i] < receives -> printf(" R%d", i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		printf("\n")
	}
}

init {
	byte i;
	atomic {
		select(senders : 1 .. SENDERS);
		select(messages : 1 .. EACH);
		select(receivers : 1 .. RECEIVERS);
		select(receives : 1 .. EACH);
#if CAPACITY > 0
		if
		:: senders_try = 0
		:: senders_try = 1
		fi;
		if
		:: receivers_try = 0
		:: receivers_try = 1
		fi;
#endif
		i = 0;
		do
		:: i < senders -> run sender(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < receivers -> run receiver(i); i++
		:: else -> break
		od;
		i = 0;
		run observer()
	}
}
