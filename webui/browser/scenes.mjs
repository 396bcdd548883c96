import { clientId } from './uuid.mjs';

// What people say to each other in the screenshots.
class Scene {
  constructor({ people, others, group, talk, small }) {
    Object.assign(this, { people, others, group, talk, small });
  }

  async play(server) {
    const cast = [];
    for (const [username, name] of this.people) cast.push(await server.account(username, name));
    const [me] = cast;
    const say = (who, room, text, more = {}) =>
      who.call('POST', `/v1/rooms/${room}/messages`, { client_id: clientId(), text, ...more });
    const directRoom = (peer) => me.call('POST', '/v1/rooms', { kind: 'direct', user_id: peer.id });

    for (const [at, text] of this.others)
      await say(cast[at], (await directRoom(cast[at])).id, text);

    const react = async (room, reactions = []) => {
      for (const [at, seq, emoji] of reactions) {
        const path = `/v1/rooms/${room}/messages/${seq}/reactions/${encodeURIComponent(emoji)}`;
        await cast[at].call('PUT', path);
      }
    };

    for (const { name, members, lines, reactions } of [this.small, this.group]) {
      const member_ids = members.map((at) => cast[at].id);
      const room = await me.call('POST', '/v1/rooms', { kind: 'group', name, member_ids });
      for (const [at, text, more] of lines) await say(cast[at], room.id, text, more);
      await react(room.id, reactions);
      const last = lines.length + 1;
      await cast[members[0]].call('PUT', `/v1/rooms/${room.id}/read`, { seq: last });
    }

    const room = await directRoom(cast[1]);
    const { lines, edits, reactions } = this.talk;
    for (const [at, text, more] of lines) await say(cast[at], room.id, text, more);
    for (const [at, seq, text] of edits)
      await cast[at].call('PATCH', `/v1/rooms/${room.id}/messages/${seq}`, { text });
    await react(room.id, reactions);
    return { me, online: cast.slice(1, 4), group: this.group.name, direct: this.people[1][1] };
  }
}

export const scenes = {
  en: new Scene({
    people: [
      ['maya', 'Maya Chen'],
      ['tom', 'Tom Becker'],
      ['priya', 'Priya Nair'],
      ['lena', 'Lena Fischer'],
      ['oskar', 'Oskar Lind'],
      ['grace', 'Grace Okafor'],
    ],
    others: [
      [5, 'The recording is up, thanks for having me!'],
      [4, 'Could you look at my draft before Thursday?'],
      [3, 'Sent you the invoice 🙂'],
    ],
    small: {
      name: 'Book club',
      members: [2, 3],
      lines: [
        [2, 'Finished it last night. That ending!'],
        [3, 'No spoilers please, I’m on chapter nine'],
      ],
    },
    group: {
      name: 'Weekend hike',
      members: [1, 2, 3],
      lines: [
        [1, 'Weather looks great for Saturday ☀️'],
        [1, 'Shall we take the ridge trail this time?'],
        [2, 'Yes! It has the better view, and there is a hut with soup at the top.'],
        [0, 'I’m in. I can drive, there’s room for four.'],
        [3, 'Perfect, then I’ll bring sandwiches and the big thermos.'],
        [3, 'Route: https://maps.example.org/ridge-trail?from=station'],
        [0, '8 o’clock at the station?', { reply_to: 3 }],
        [2, '8 it is 👍'],
      ],
      reactions: [
        [0, 4, '❤️'],
        [1, 5, '🙏'],
        [2, 5, '🙏'],
        [3, 5, '👍'],
        [1, 6, '😋'],
        [0, 6, '😋'],
      ],
    },
    talk: {
      lines: [
        [1, 'Hey, did the move to the new server go well?'],
        [0, 'Surprisingly smooth. One binary, one config file, done before lunch.'],
        [1, 'And nothing got lost?'],
        [0, 'Nothing. I pulled the plug in the middle of a message to be sure.'],
        [0, 'It arrived once, in order.'],
        [1, '😮'],
        [
          1,
          'OK, now I want one too. Is there a guide? I found https://natter.example.org/docs but I’d rather see yours.',
        ],
        [0, 'I’ll write you mine tomorrow', { reply_to: 7 }],
        [1, 'You’re the best. Coffee is on me.'],
        [0, 'Deal!'],
      ],
      edits: [[0, 8, 'I’ll write you mine this evening']],
      reactions: [
        [1, 5, '😮'],
        [1, 5, '👍'],
        [0, 9, '❤️'],
      ],
    },
  }),
  ko: new Scene({
    people: [
      ['minji', '김민지'],
      ['seojun', '이서준'],
      ['haeun', '박하은'],
      ['doyun', '최도윤'],
      ['jiwoo', '정지우'],
      ['yuna', '한유나'],
    ],
    others: [
      [5, '사진 잘 받았어, 고마워!'],
      [4, '회의 자료 올려 두었습니다. 확인 부탁드려요.'],
      [3, '내일 점심 같이 먹을래? 🙂'],
    ],
    small: {
      name: '독서 모임',
      members: [2, 3],
      lines: [
        [2, '어젯밤에 다 읽었어요. 결말이 정말…'],
        [3, '스포일러 금지! 저 아직 9장이에요'],
      ],
    },
    group: {
      name: '주말 등산 모임',
      members: [1, 2, 3],
      lines: [
        [1, '토요일 날씨 정말 좋대요 ☀️'],
        [1, '이번에는 능선 길로 가 볼까요?'],
        [2, '좋아요! 경치도 더 좋고, 정상 산장에서 따뜻한 국물도 먹을 수 있어요.'],
        [0, '저도 갈게요. 차 가져갈 수 있어요, 네 명까지 탈 수 있어요.'],
        [3, '그럼 저는 김밥이랑 보온병 챙겨 갈게요.'],
        [3, '코스는 여기요: https://maps.example.org/ridge-trail?from=station'],
        [0, '역에서 8시 어때요?', { reply_to: 3 }],
        [2, '8시 좋아요 👍'],
      ],
      reactions: [
        [0, 4, '❤️'],
        [1, 5, '🙏'],
        [2, 5, '🙏'],
        [3, 5, '👍'],
        [1, 6, '😋'],
        [0, 6, '😋'],
      ],
    },
    talk: {
      lines: [
        [1, '서버 옮기는 거 잘 끝났어?'],
        [0, '생각보다 쉬웠어. 실행 파일 하나, 설정 파일 하나로 점심 전에 끝났어.'],
        [1, '없어진 메시지는 없고?'],
        [0, '하나도 없어. 확인하려고 메시지 보내는 도중에 전원까지 뽑아 봤거든.'],
        [0, '순서대로 딱 한 번 도착하더라.'],
        [1, '😮'],
        [
          1,
          '나도 하나 만들어야겠다. 안내서 있어? https://natter.example.org/docs 문서는 찾았는데 네가 쓴 게 더 보고 싶어.',
        ],
        [0, '내일 정리해서 보내 줄게', { reply_to: 7 }],
        [1, '역시 최고야. 커피는 내가 살게.'],
        [0, '좋아!'],
      ],
      edits: [[0, 8, '오늘 저녁에 정리해서 보내 줄게']],
      reactions: [
        [1, 5, '😮'],
        [1, 5, '👍'],
        [0, 9, '❤️'],
      ],
    },
  }),
};
